"""Run a published experiment: its data set, sizes and recipe, as one ``dvc exp run``.

    python experiments/run.py                          lists them
    python experiments/run.py pix2pix -S scrape.path=landscapes.zip
    python experiments/run.py dcgan-cifar10 --queue

Each experiment is a file of this folder with the keys of ``params.yaml`` in which it differs from
the pipeline's defaults. What follows its name goes to ``dvc exp run``; a value given there wins.

``dvc exp run`` leaves its values in ``params.yaml``, so all keys that decide what is trained are
set, those with their defaults too: it does not matter what was run or changed before. Only
``scrape.path`` stays as it is, for your photos are where they are.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from pipeline.errors import ColorpipeError
from pipeline.params import read_params
from pipeline.training.plan import recipe_of

HERE = Path(__file__).parent
SECTIONS = {"scrape", "clean", "resize", "split", "train"}
"""What decides what is trained."""


def main(arguments: Sequence[str]) -> int:
    """Run the experiment that is named, or list all; return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        for path in files():
            print(f"{path.stem:18} {about(path)}")
        return 0
    name, *others = arguments
    try:
        command = ["exp", "run", *options(HERE / f"{name}.yaml"), *others]
    except ColorpipeError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2
    print(f"dvc {shlex.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", "dvc", *command], check=False).returncode


def files() -> list[Path]:
    """Return the files of the experiments, sorted by name."""
    return sorted(HERE.glob("*.yaml"), key=lambda path: path.stem)


def about(path: Path) -> str:
    """Return the first sentence of the comment at the beginning of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(line.lstrip("# ") for line in comment)
    return text.partition(". ")[0].removesuffix(".") + "."


def options(path: Path) -> list[str]:
    """Return the options of ``dvc exp run`` that set a file's keys, and all others to defaults.

    Raises:
        ColorpipeError: there is no such file, it is no YAML, or a key, a value or a setting of the
            recipe in it is not allowed.
    """
    if not path.is_file():
        known = ", ".join(file.stem for file in files())
        raise ColorpipeError(f"There is no experiment '{path.stem}'; there are {known}.")
    params = read_params(path, required=True)
    recipe_of(params.train)
    keys = params.model_dump(mode="json", include=SECTIONS, exclude={"scrape": {"path"}})
    return [f"--set-param={key}={json.dumps(value)}" for key, value in flat(keys)]


def flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key, after those above it as in ``train.epochs``, and its value."""
    for key, value in content.items():
        name = f"{above}{key}"
        if name == "train.options":
            # "++" adds a key: in params.yaml it has none. Those of another run go with the null.
            name = f"++{name}"
            yield name, None
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        else:
            yield name, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
