import pytest
import torch
from splits import make_split

from pipeline import training
from pipeline.checkpoints import Checkpoint
from pipeline.dataset import read_photos
from pipeline.errors import ColorpipeError, StoppedError
from pipeline.interruptions import StopRequest
from pipeline.recipes import get_recipe
from pipeline.training import Trainer
from pipeline.validation import watch

SETTINGS = {"epochs": 4, "batch_size": 4, "size": 32, "adversarial_share": 0.5}


@pytest.fixture
def data(tmp_path):
    split = make_split(tmp_path / "split")
    return tuple(read_photos(split, part, tmp_path / "pixels") for part in ("train", "val"))


def make_trainer(data, checkpoint, seed=0, **settings):
    photos, validation = data
    return Trainer(
        get_recipe("colorpipe", {**SETTINGS, **settings}),
        photos,
        validation=validation,
        seed=seed,
        device=torch.device("cpu"),
        dtype=torch.float32,
        checkpoint=checkpoint,
    )


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def stop_after(trainer, monkeypatch, steps):
    """Press Ctrl-C while step number ``steps`` is under way."""
    stop = StopRequest()
    step = trainer._step

    def counted(phase, number):
        stop.requested = number + 1 == steps
        return step(phase, number)

    monkeypatch.setattr(trainer, "_step", counted)
    original = trainer._loop
    monkeypatch.setattr(trainer, "_loop", lambda _, report: original(stop, report))


def test_the_same_seed_gives_the_same_weights_and_another_others(data, tmp_path):
    runs = [
        weights(make_trainer(data, Checkpoint(str(i), tmp_path), seed).run())
        for i, seed in enumerate((0, 0, 1))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_stopped_run_goes_on_to_the_very_same_weights(data, tmp_path, monkeypatch, steps):
    whole = make_trainer(data, Checkpoint("whole", tmp_path))
    expected = weights(whole.run())
    stopped = make_trainer(data, Checkpoint("parts", tmp_path))
    stop_after(stopped, monkeypatch, steps)
    with pytest.raises(StoppedError, match="goes on from there"):
        stopped.run()
    torch.manual_seed(99)
    resumed = make_trainer(data, Checkpoint("parts", tmp_path))
    assert torch.equal(weights(resumed.run()), expected)
    assert resumed.progress.losses == whole.progress.losses
    assert resumed.progress.validation == whole.progress.validation


def test_losses_are_kept_by_epoch_and_phase(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))
    trainer.run()
    assert [row["epoch"] for row in trainer.progress.losses] == [1, 2, 3, 4]
    assert ["discriminator" in row for row in trainer.progress.losses] == [False, False, True, True]
    assert all(row["ciede2000"] > 0 for row in trainer.progress.validation)


def test_it_learns_the_photos(data, tmp_path):
    photos = data[0]
    trainer = make_trainer(
        data, Checkpoint("run", tmp_path), epochs=60, batch_size=8, size=64, adversarial_share=0
    )
    recipe, cpu = trainer.recipe, torch.device("cpu")
    gray = watch(recipe, trainer.generator, photos.pixels, cpu, torch.float32)
    made = watch(recipe, trainer.run(), photos.pixels, cpu, torch.float32)
    assert made["ciede2000"] < 0.6 * gray["ciede2000"]
    assert 0.5 < made["colourfulness_ratio"] < 1.3


def test_the_discriminator_is_trained_in_its_phase_only(data, tmp_path, monkeypatch):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))
    before = weights(trainer.discriminator)
    stop_after(trainer, monkeypatch, 4)
    with pytest.raises(StoppedError):
        trainer.run()
    assert torch.equal(weights(trainer.discriminator), before)
    resumed = make_trainer(data, Checkpoint("run", tmp_path))
    resumed.run()
    assert not torch.equal(weights(resumed.discriminator), before)


def test_without_averaging_the_generator_itself_is_returned(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path), ema=0.0)
    assert trainer.run() is trainer.generator


def test_a_loss_that_is_not_a_number_stops_with_where(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))
    with torch.no_grad():
        trainer.generator.head.bias.fill_(float("nan"))
    with pytest.raises(ColorpipeError, match="'generator' is nan in epoch 1, step 1"):
        trainer.run()


def test_running_out_of_memory_says_what_to_lower(data, tmp_path, monkeypatch):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))

    def full(phase, step):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(trainer, "_step", full)
    with pytest.raises(ColorpipeError, match=r"batch of 4 .* lower train\.batch_size"):
        trainer.run()


def test_checkpoints_are_written_as_time_passes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL", -1.0)
    checkpoint = Checkpoint("run", tmp_path)
    trainer = make_trainer(data, checkpoint)
    trainer.run()
    assert checkpoint.load()["progress"]["step"] == trainer.steps
