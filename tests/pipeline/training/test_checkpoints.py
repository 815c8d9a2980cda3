import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from imports import NO_INFLUENCE, imported
from scratch import PROJECT

from pipeline.errors import ColorpipeError
from pipeline.training import checkpoints
from pipeline.training.checkpoints import Checkpoint, code_digest, run_key, training_modules

# What stages/train.py imports and a run's result, given the other facts of its key, is the same
# without:
SAME_RESULT = {
    Path("pipeline") / name
    for name in (
        # They keep and write what they are given, when they are told to.
        *("checkpoints.py", "interruptions.py", "outputs.py"),
        # A split's photos are PNGs, of which every reader makes the same pixels.
        *("images.py", "orientation.py", "plain_jpeg.py", "png.py", "srgb.py"),
        # The bytes of the weights that training starts from are a fact of their own.
        "shipped.py",
        "judging/__init__.py",
    )
}


def test_the_code_of_a_run_is_every_module_that_decides_its_result():
    needed = imported(Path("stages/train.py"), PROJECT) - NO_INFLUENCE
    counted = {path.relative_to(PROJECT) for path in training_modules()}
    assert counted == needed - SAME_RESULT
    assert needed >= SAME_RESULT


def test_a_change_of_any_module_of_training_is_other_code(tmp_path, monkeypatch):
    other = tmp_path / "variants.py"
    other.write_text("one = 1")
    before = code_digest()
    with_other = code_digest(other)
    shutil.copytree(PROJECT / "pipeline", tmp_path / "pipeline")
    monkeypatch.setattr(checkpoints, "_PACKAGE", tmp_path / "pipeline")
    assert code_digest() == before != with_other == code_digest(other)
    other.write_text("one = 2")
    assert code_digest(other) != with_other
    seen = {before}
    for path in training_modules():
        with path.open("a") as stream:
            stream.write("# Another.\n")
        seen.add(code_digest())
    assert len(seen) == len(training_modules()) + 1


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
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:500])
    with pytest.raises(ColorpipeError, match=r"is damaged .* delete it"):
        checkpoint.load()


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


def test_too_little_space_is_said_before_the_work(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    checkpoint.require(1)
    with pytest.raises(ColorpipeError, match=r"need 2000000000\.0 GB, but .* GB left; free some"):
        checkpoint.require(10**18)


def test_a_folder_that_cannot_be_made_is_said_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ColorpipeError, match="cannot be written to"):
        Checkpoint("abc", tmp_path / "file").require(1)


def test_half_written_sheets_of_a_killed_process_are_passed_over(tmp_path):
    checkpoint = Checkpoint("abc", tmp_path)
    assert checkpoint.sheets() == []
    for path in (checkpoint.sheet(2), checkpoint.sheet(1)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (checkpoint.sheet(1).parent / ".writing-x.png").write_bytes(b"")
    assert checkpoint.sheets() == [checkpoint.sheet(1), checkpoint.sheet(2)]


def test_a_run_that_is_held_is_refused_to_others_until_the_end(tmp_path):
    with Checkpoint("abc", tmp_path).held():
        with (
            pytest.raises(ColorpipeError, match=r"Another process .* holds .*lock; let it end"),
            Checkpoint("abc", tmp_path).held(),
        ):
            pass
        with Checkpoint("abd", tmp_path).held():
            pass
    with Checkpoint("abc", tmp_path).held():
        pass


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
