"""Curves that can be followed while training runs, by DVCLive where it is installed.

They are deleted at the end of the run: the tables that the stage writes then have the same values.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.training.loss_log import Curve


class LiveCurves:
    """Logs a run's epochs with DVCLive; without DVCLive nothing happens.

    A context manager: when the block ends, so does DVCLive's record of the run.

    Args:
        folder: gets the curves, one TSV each, and ``report.html``, which reloads itself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._live: Any = None
        self._logged = {"train": 0, "validation": 0}

    def __enter__(self) -> LiveCurves:
        if importlib.util.find_spec("dvclive") is not None:
            # It takes over a second to import.
            from dvclive.live import Live  # noqa: PLC0415

            class Curves(Live):
                def _init_dvc(self) -> None:
                    # It is for experiments, which these curves are not part of: it would ask git
                    # for the last commit, which a new project has not, and make a DVC repository.
                    pass

                def _init_studio(self) -> None:
                    # DVC Studio shows experiments as well.
                    self._studio_events_to_skip |= {"start", "data", "done"}

                def post_data_to_studio(self) -> None:
                    # It would start a thread that never ends, even with nothing to send, and the
                    # engines fork only while there is none.
                    pass

            try:
                self._live = Curves(
                    str(self.folder), report="html", dvcyaml=None, save_dvc_exp=False, resume=False
                )
            except OSError as error:
                self._give_up(error)
                return self
            # It loads a library from the web, and is empty without.
            print(
                f"Live curves are in {self.folder / 'report.html'}; a browser draws them where"
                " there is a network."
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            try:
                self._live.end()
            except OSError as failure:
                self._give_up(failure)

    def update(self, losses: Curve, validation: Curve) -> None:
        """Log the epochs that are not logged so far.

        A resumed run is logged again from its first epoch. Otherwise epochs after its checkpoint,
        which are trained again, would appear twice.

        Args:
            losses: a row an epoch, of all epochs so far.
            validation: the same of validation.
        """
        if self._live is None:
            return
        try:
            self._write(losses, validation)
        except OSError as error:
            self._give_up(error)

    def _write(self, losses: Curve, validation: Curve) -> None:
        for group, rows in (("train", losses), ("validation", validation)):
            for row in rows[self._logged[group] :]:
                self._live.step = int(row["epoch"])
                for name, value in row.items():
                    if name != "epoch":
                        self._live.log_metric(f"{group}/{name}", value)
            self._logged[group] = len(rows)
        self._live.sync()

    def _give_up(self, error: OSError) -> None:
        """Go on without live curves, which a run can do without."""
        self._live = None
        print(f"There are no live curves: {self.folder} cannot be written to ({error}).")
