"""Where the colored version of a photo goes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import ColorpipeError
from pipeline.inference.jobs import Job, find_jobs


@pytest.mark.parametrize("name", ["new.dng", "new.psd", "results.v2"])
def test_a_name_like_a_file_s_that_is_not_written_makes_no_folder(
    tmp_path: Path, name: str
) -> None:
    photo, out = tmp_path / "gray.jpg", tmp_path / name
    Image.new("L", (9, 9)).save(photo)
    with pytest.raises(ColorpipeError, match=rf"{out.suffix}; name one .*make the folder first"):
        find_jobs(photo, out, None)
    out.mkdir()
    assert list(find_jobs(photo, out, None)) == [Job("gray.jpg", photo, out / "gray.jpg")]
    # For a folder of photos it can only be a folder.
    (tmp_path / "in").mkdir()
    photo.rename(tmp_path / "in" / "gray.jpg")
    out.rmdir()
    (job,) = find_jobs(tmp_path / "in", out, None)
    assert isinstance(job, Job)
    assert job.target == out / "gray.jpg"


def test_hints_beside_a_photo_are_its_own_and_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jpg", "a.jpg.hints.json", "b.png", "c.jpg.hints.json"):
        (folder / name).touch()
    passed_over: Counter[str] = Counter()
    jobs = list(find_jobs(folder, tmp_path / "out", None, passed_over))
    assert [(job.name, job.hints) for job in jobs if isinstance(job, Job)] == [
        ("a.jpg", folder / "a.jpg.hints.json"),
        ("b.png", ()),
    ]
    assert passed_over == {".json": 1}
    [job] = find_jobs(folder / "a.jpg", tmp_path / "out", None)
    assert isinstance(job, Job)
    assert job.hints == folder / "a.jpg.hints.json"


def test_a_job_knows_whose_results_may_want_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "c").mkdir(parents=True)
    names = ("a.heic", "a.jpg", "b-2.jpg", "b-02.jpg", "b-2-1.jpg", "b.tif", "b.x.png", "c/b.jpg")
    for name in names:
        (folder / name).touch()
    (folder / "a.mkv").touch()
    films = {".mkv": ".mkv"}
    jobs = {job.name: job for job in find_jobs(folder, tmp_path, None, films=films)}
    assert jobs.keys() == {*names, "a.mkv"}
    rivals = {
        name: [Path(rival.source).name for rival in job.rivals]
        for name, job in jobs.items()
        if isinstance(job, Job) and job.rivals
    }
    assert rivals == {
        "a.heic": ["a.jpg"],
        "a.jpg": ["a.heic"],
        "b-2.jpg": ["b-2-1.jpg"],
        "b.tif": ["b-2.jpg"],
    }
    (rival,) = jobs["b.tif"].rivals
    assert rival == (str(folder / "b-2.jpg"), str(tmp_path / "b-2.jpg"))
