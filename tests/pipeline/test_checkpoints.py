import pytest
import torch

from pipeline.checkpoints import Checkpoint, run_key
from pipeline.errors import ColorpipeError


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
