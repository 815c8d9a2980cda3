"""Which modules of the project a module imports, read from the source.

From the source, so that an import inside a function counts although it has not run yet, and one
under ``if TYPE_CHECKING`` does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("pipeline", "stages", "comparison")

# They say what goes wrong and how far the work is, and carry parameters that dvc tracks by value:
# what a stage writes does not depend on them.
NO_INFLUENCE = {
    Path("pipeline") / name for name in ("__init__.py", "errors.py", "params.py", "progress.py")
} | {Path("stages/__init__.py")}


def imported(path: Path, project: Path) -> set[Path]:
    """The project's files that ``path`` (relative to ``project``) imports, directly or not."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        for module in _direct(project / waiting.pop()):
            for file in _files(module, project):
                if file not in found:
                    found.add(file)
                    waiting.append(file)
    return found - {path}


def _direct(path: Path) -> Iterator[str]:
    """The dotted names that a file may import, of modules and of what is taken from them."""
    for node in _running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import, which is not followed here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _running(other)
        else:
            yield from _running(child)


def _files(dotted: str, project: Path) -> Iterator[Path]:
    """The files that run when ``dotted`` is imported: its packages and itself."""
    parts = dotted.split(".")
    if parts[0] not in PACKAGES:
        return
    for end in range(1, len(parts) + 1):
        base = Path(*parts[:end])
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if (project / file).is_file():
                yield file
