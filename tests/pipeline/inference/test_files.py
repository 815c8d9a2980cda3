"""Results of this computer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.inference.files import LocalFiles
from pipeline.inference.jobs import Job


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere files have names from the start")
def test_no_file_stays_open_where_proc_is_not_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def but_proc(done: Callable[..., Any]) -> Callable[..., Any]:
        def look(path: Any, *arguments: Any, **named: Any) -> Any:
            if str(path).startswith("/proc/"):
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return done(path, *arguments, **named)

        return look

    job = Job("a.png", tmp_path / "a.png", tmp_path / "out" / "a.png")
    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", but_proc(os.stat))
        patch.setattr(os, "lstat", but_proc(os.lstat))
        LocalFiles().write(job, job.target, b"colored", replace=False)
        with pytest.raises(FileExistsError):
            LocalFiles().write(job, job.target, b"again", replace=False)
    assert open_files() == before
    assert job.target.read_bytes() == b"colored"
    assert list(job.target.parent.iterdir()) == [job.target]
