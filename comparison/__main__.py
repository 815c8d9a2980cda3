"""``python -m comparison check | split | speeds | train RUN | evaluate RUN | table``.

To be run in the project's folder. All but ``speeds`` are the commands of ``comparison/dvc.yaml``;
``dvc repro`` in ``comparison`` runs what is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from comparison.evaluation import evaluate_run
from comparison.photos import check_photos, make_split
from comparison.settings import Comparison, read_comparison
from comparison.table import write_table
from comparison.training import measure_speeds, train_run
from pipeline.errors import ColorpipeError, Failure, StoppedError

DONE, SOME_FAILED, NOTHING_DONE, STOPPED = 0, 1, 2, 130
"""Exit codes, those of ``colorpipe``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step of the comparison and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        failures = _carry_out(given, read_comparison())
    except (ColorpipeError, OSError, KeyboardInterrupt) as error:
        print(f"comparison: {str(error) or 'Stopped.'}", file=sys.stderr)
        stopped = isinstance(error, StoppedError | KeyboardInterrupt)
        return STOPPED if stopped else NOTHING_DONE
    for failure in failures:
        print(f"comparison: {failure}", file=sys.stderr)
    return SOME_FAILED if failures else DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m comparison", description="Train all systems alike, and compare them."
    )
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("check", help="check the settings, and that the photos are there")
    split = steps.add_parser("split", help="split the photos that all runs share")
    _add_paths(split, split="where the folders of pairs go")
    speeds = steps.add_parser("speeds", help="measure how fast every run trains")
    _add_paths(speeds, split="the split photos", speeds="the file for images a second, by run")
    train = steps.add_parser("train", help="train one run with the budget of all")
    train.add_argument("run", help="its name in comparison/params.yaml")
    _add_paths(
        train,
        split="the split photos",
        speeds="the measured speeds, for a budget in seconds",
        model="where the weights go",
        curves="the folder for the curves of the losses",
        costs="where it is written what training took",
    )
    evaluating = steps.add_parser("evaluate", help="color the test photos by one system")
    evaluating.add_argument("run", help="its name in comparison/params.yaml")
    _add_paths(
        evaluating, split="the split photos", model="the weights", row="the folder for its scores"
    )
    table = steps.add_parser("table", help="write the table, the pictures and the answers")
    _add_paths(
        table,
        split="the split photos",
        rows="the folder of what the runs were evaluated to",
        costs="the folder of what the runs took",
        curves="the folder of their curves",
        speeds="the measured speeds, for a budget in seconds",
        out="the folder for the table and the pictures",
    )
    return parser


def _add_paths(parser: argparse.ArgumentParser, **about: str) -> None:
    for name, text in about.items():
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH", help=text)


def _carry_out(given: argparse.Namespace, comparison: Comparison) -> Sequence[Failure]:
    if given.step == "check":
        check_photos(comparison)
        return ()
    if given.step == "split":
        return make_split(comparison, given.split)
    if given.step == "speeds":
        measure_speeds(comparison, given.split, given.speeds)
    elif given.step == "train":
        train_run(
            comparison,
            given.run,
            given.split,
            speeds=given.speeds,
            model=given.model,
            curves=given.curves,
            costs=given.costs,
        )
    elif given.step == "evaluate":
        evaluate_run(comparison, given.run, given.split, given.model, given.row)
    else:
        write_table(
            comparison,
            given.split,
            rows=given.rows,
            costs=given.costs,
            curves=given.curves,
            speeds=given.speeds,
            out=given.out,
        )
    return ()


if __name__ == "__main__":
    sys.exit(main())
