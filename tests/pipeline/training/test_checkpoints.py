import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from imports import rooms
from PIL import Image
from scratch import PROJECT

from pipeline.errors import ColorpipeError
from pipeline.recipes import RECIPES
from pipeline.training import checkpoints
from pipeline.training.checkpoints import KEPT, ROOMS, Checkpoint, code_digest, run_key


def test_a_run_depends_on_the_rooms_that_training_imports():
    # Where results are written decides nothing about what they are.
    assert set(ROOMS) == rooms(Path("stages/train.py")) - {"files"}


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    """A copy of the package, which the code of a run is taken from."""
    copy = shutil.copytree(PROJECT / "pipeline", tmp_path / "pipeline")
    monkeypatch.setattr(checkpoints, "_PIPELINE", copy)
    return copy


@pytest.mark.parametrize(
    "module", [*(f"{room}/new.py" for room in ROOMS if room != "recipes"), "recipes/shared/lab.py"]
)
def test_a_change_in_a_room_of_training_is_other_code(pipeline, module):
    before = code_digest("unet")
    with (pipeline / module).open("a") as stream:
        stream.write("# Another.\n")
    assert code_digest("unet") != before


def test_only_a_change_of_its_own_recipe_is_other_code(pipeline):
    before = [code_digest(recipe) for recipe in RECIPES]
    assert len({*before}) == len(RECIPES)
    (pipeline / "recipes/new.py").write_text("# A new recipe.")
    assert [code_digest(recipe) for recipe in RECIPES] == before
    with (pipeline / "recipes/unet.py").open("a") as stream:
        stream.write("# Another.\n")
    changed = [
        recipe for recipe, old in zip(RECIPES, before, strict=True) if code_digest(recipe) != old
    ]
    assert changed == ["unet"]


def test_other_files_may_decide_a_run_too(tmp_path):
    other = tmp_path / "variants.py"
    other.write_text("one = 1")
    before = code_digest("unet", other)
    assert code_digest("unet") != before
    other.write_text("one = 2")
    assert code_digest("unet", other) != before


def test_a_key_depends_on_every_fact_but_not_on_their_order():
    key = run_key({"seed": 0, "settings": {"epochs": 2}})
    assert key == run_key({"settings": {"epochs": 2}, "seed": 0})
    assert key != run_key({"seed": 1, "settings": {"epochs": 2}})
    assert key != run_key({"seed": 0, "settings": {"epochs": 3}})


def test_what_is_saved_is_loaded_and_removed(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    assert checkpoint.load() is None
    checkpoint.save({"weights": {"a": torch.arange(3)}, "step": 5})
    state = Checkpoint("abc", tmp_path).load()
    assert state["step"] == 5
    assert torch.equal(state["weights"]["a"], torch.arange(3))
    assert Checkpoint("abd", tmp_path).load() is None
    checkpoint.remove()
    assert checkpoint.load() is None


def test_a_truncated_checkpoint_is_named_with_what_to_do(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    checkpoint.save({"a": torch.rand(1000)})
    for content in (checkpoint.path.read_bytes()[:500], b"", b"text\n", bytes(1000)):
        checkpoint.path.write_bytes(content)
        with pytest.raises(ColorpipeError, match="is damaged; delete it to start over") as raised:
            checkpoint.load()
        assert "weights_only" not in str(raised.value)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("unpickled",))

    checkpoint = Checkpoint("abc", tmp_path)
    checkpoint.path.parent.mkdir()
    torch.save({"a": Evil()}, checkpoint.path)
    with pytest.raises(ColorpipeError, match="is damaged"):
        checkpoint.load()


def test_a_failed_save_keeps_the_last_one(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    checkpoint.save({"step": 1})
    with pytest.raises((ColorpipeError, AttributeError)):
        checkpoint.save({"step": lambda: None})
    assert checkpoint.load() == {"step": 1}
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["last.pt"]


def test_a_sheet_that_cannot_be_written_is_named_with_what_to_do(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc/samples").touch()
    with pytest.raises(ColorpipeError, match=r"sheet .*epoch-0001\.png cannot be .* same command"):
        checkpoint.save_sheet(1, Image.new("RGB", (8, 8)))


def test_too_little_space_is_said_before_the_work(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    checkpoint.require(1)
    with pytest.raises(ColorpipeError, match=r"need 2,000,000,000,000 MB, but .* MB left; free"):
        checkpoint.require(10**18)


def test_a_folder_that_cannot_be_made_is_reported_first(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ColorpipeError, match="cannot be written to"):
        Checkpoint("abc", tmp_path / "file").require(1)


def test_incomplete_sheets_of_a_killed_process_are_skipped(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    assert checkpoint.sheets() == []
    for epoch in (2, 1):
        checkpoint.save_sheet(epoch, Image.new("RGB", (8, 8)))
    (checkpoint.sheets()[0].parent / ".writing-x.png").write_bytes(b"")
    assert [path.name for path in checkpoint.sheets()] == ["epoch-0001.png", "epoch-0002.png"]


def test_a_run_that_is_held_is_refused_to_others(tmp_path):
    with Checkpoint("abc", tmp_path).held():
        with (
            pytest.raises(ColorpipeError, match=r"Another process .* holds .*lock\); wait"),
            Checkpoint("abc", tmp_path).held(),
        ):
            pass
        with Checkpoint("abd", tmp_path).held():
            pass
    with Checkpoint("abc", tmp_path).held():
        pass


def test_of_runs_that_were_stopped_the_newest_are_kept(tmp_path):
    runs = [Checkpoint(f"run{age}", tmp_path) for age in range(KEPT + 3)]
    for age, run in enumerate(runs):
        run.save({"step": age})
        os.utime(run.path.parent, (10**9 - age, 10**9 - age))
    done = Checkpoint("done", tmp_path)
    with done.held(), runs[-1].held():
        os.utime(runs[-1].path.parent, (1, 1))
        done.remove()
    assert [run.load() is not None for run in runs] == [True] * KEPT + [False, False, True]
    assert not done.path.parent.exists()


def test_a_lock_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "abc" / "lock").mkdir(parents=True)
    with (
        pytest.raises(ColorpipeError, match="cannot be written to"),
        Checkpoint("abc", tmp_path).held(),
    ):
        pass


def test_a_killed_process_holds_no_run(tmp_path):
    hold = (
        "import sys; from pathlib import Path\n"
        "from pipeline.training.checkpoints import Checkpoint\n"
        "with Checkpoint('abc', Path(sys.argv[1])).held(): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(ColorpipeError, match="Another process"),
            Checkpoint("abc", tmp_path).held(),
        ):
            pass
        holder.kill()
    with Checkpoint("abc", tmp_path).held():
        pass
