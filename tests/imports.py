"""Which modules of the project a module imports, read from the source.

From the source, so that an import inside a function counts although it has not run yet, and one
under ``if TYPE_CHECKING`` does not. Paths are relative to the project.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from scratch import PROJECT

PACKAGES = ("colorpipe", "pipeline", "stages", "comparison")


def room(path: Path) -> str:
    """The folder of ``pipeline`` that a module is in, or its own name if it is in none."""
    return path.with_suffix("").parts[1]


def rooms(path: Path) -> set[str]:
    """The folders of ``pipeline`` that a module imports from, directly or not."""
    return {room(file) for file in all_imported(path) if len(file.parts) > 2} - {"cli"}


def imported(path: Path) -> set[Path]:
    """The project's modules that a module imports by name."""
    found = (_module(name) for name in _names(ast.parse((PROJECT / path).read_text("utf-8"))))
    return {module for module in found if module} - {path}


def all_imported(path: Path) -> set[Path]:
    """The project's modules that run when a module is used: what it imports, what that imports.

    The packages they are in are among them. A registry, which imports modules by their names
    (``import_module``), may run each module of its folder.
    """
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        module = waiting.pop()
        needed = imported(module) | _packages(module)
        if "import_module(" in (PROJECT / module).read_text("utf-8"):
            folder = PROJECT / module.parent
            needed |= {file.relative_to(PROJECT) for file in folder.glob("*.py")}
        waiting += needed - found
        found |= needed
    return found - {path}


def _names(node: ast.AST) -> Iterator[str]:
    """The dotted names that are imported, of modules and of what is taken from them."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"relative imports are not followed: {ast.unparse(node)}"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for other in node.orelse:
            yield from _names(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _module(name: str) -> Path | None:
    """The module of the project that a dotted name is, or is taken from."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return None
    for end in (len(parts), len(parts) - 1):
        base = Path(*parts[:end])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if end and (PROJECT / file).is_file():
                return file
    raise AssertionError(f"{name} is no module of the project")


def _packages(module: Path) -> set[Path]:
    """The ``__init__`` modules of the folders that a module is in."""
    found = {folder / "__init__.py" for folder in module.parents if folder != Path()}
    return {file for file in found if (PROJECT / file).is_file()}
