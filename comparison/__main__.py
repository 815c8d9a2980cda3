"""``python -m comparison check | split | train RUN | evaluate | table``, in the project's folder.

What ``comparison/dvc.yaml`` runs; ``dvc repro`` in ``comparison`` runs what is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from comparison.photos import check_photos, make_split
from comparison.settings import MODELS, REPORTS, SPLIT, read_comparison
from comparison.table import write_table
from comparison.training import train_run
from pipeline.errors import ColorpipeError, Failure, StoppedError
from stages.evaluate import evaluate

DONE, SOME_FAILED, NOTHING_DONE, STOPPED = 0, 1, 2, 130
"""Exit codes, those of ``colorpipe``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step of the comparison and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m comparison", description="Train all systems alike, and compare them."
    )
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("check", help="say whether the photos are there")
    steps.add_parser("split", help="the photos that all learn from and are judged on")
    training = steps.add_parser("train", help="train one run with the budget of all")
    training.add_argument("run", help="its name in comparison/params.yaml")
    steps.add_parser("evaluate", help="judge all runs on the same test photos")
    steps.add_parser("table", help="write the table and the answers")
    given = parser.parse_args(arguments)
    try:
        failures = _carry_out(given.step, getattr(given, "run", ""))
    except (ColorpipeError, OSError, KeyboardInterrupt) as error:
        print(f"comparison: {str(error) or 'Stopped.'}", file=sys.stderr)
        stopped = isinstance(error, StoppedError | KeyboardInterrupt)
        return STOPPED if stopped else NOTHING_DONE
    for failure in failures:
        print(f"comparison: {failure}", file=sys.stderr)
    return SOME_FAILED if failures else DONE


def _carry_out(step: str, run: str) -> Sequence[Failure]:
    comparison = read_comparison()
    if step == "check":
        check_photos(comparison)
        return ()
    if step == "split":
        return make_split(comparison)
    if step == "train":
        train_run(comparison, run)
    elif step == "evaluate":
        models = [MODELS / f"{run}.safetensors" for run in comparison.runs]
        evaluate(SPLIT, models, REPORTS, comparison.evaluate)
    else:
        write_table(comparison)
    return ()


if __name__ == "__main__":
    sys.exit(main())
