import pytest
import torch
from splits import make_split

from pipeline.errors import ColorpipeError, StoppedError
from pipeline.files.interruptions import StopRequest
from pipeline.recipes import get_recipe
from pipeline.training import trainer as training
from pipeline.training import validation
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.distributed import Processes
from pipeline.training.photo_set import read_photos
from pipeline.training.trainer import Trainer
from pipeline.training.validation import Measured, measure

SETTINGS = {
    "epochs": 4,
    "batch_size": 4,
    "size": 32,
    "width": 8,
    "encoder": "lite0",
    "pretrained_encoder": False,
    "adversarial_share": 0.5,
}


@pytest.fixture
def data(tmp_path):
    split = make_split(tmp_path / "split")
    return tuple(read_photos(split, part, tmp_path / "pixels") for part in ("train", "val"))


def make_trainer(data, checkpoint, seed=0, options=None, recipe="colorpipe", **settings):
    photos, validation = data
    own = SETTINGS if recipe == "colorpipe" else {}
    return Trainer(
        get_recipe(recipe, {**own, **settings}),
        photos,
        validation=validation,
        seed=seed,
        checkpoint=checkpoint,
        **{"dtype": torch.float32, "processes": Processes("cpu"), **(options or {})},
    )


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def stop_after(trainer, monkeypatch, steps):
    """Press Ctrl-C while step number ``steps`` is under way."""
    stop = StopRequest()
    step = trainer._train_step

    def counted(phase, where):
        stop.requested = trainer.step + 1 == steps
        return step(phase, where)

    monkeypatch.setattr(trainer, "_train_step", counted)
    original = trainer._loop
    monkeypatch.setattr(trainer, "_loop", lambda _, report: original(stop, report))


def test_a_batch_of_one_that_cannot_be_normalized_is_refused(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("one", tmp_path), batch_size=1)
    with pytest.raises(ColorpipeError, match=r"set train\.batch_size to 2 or more"):
        trainer.run()


def test_the_weights_follow_from_the_seed(data, tmp_path):
    runs = [
        weights(make_trainer(data, Checkpoint(str(i), tmp_path), seed).run())
        for i, seed in enumerate((0, 0, 1))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_stopped_run_resumes_to_the_same_weights(data, tmp_path, monkeypatch, steps):
    whole = make_trainer(data, Checkpoint("whole", tmp_path))
    expected = weights(whole.run())
    stopped = make_trainer(data, Checkpoint("parts", tmp_path))
    stop_after(stopped, monkeypatch, steps)
    with pytest.raises(StoppedError, match="resumes from there"):
        stopped.run()
    torch.manual_seed(99)
    resumed = make_trainer(data, Checkpoint("parts", tmp_path))
    assert torch.equal(weights(resumed.run()), expected)
    assert resumed.losses.rows == whole.losses.rows
    assert resumed.validation.rows == whole.validation.rows


class Second(Processes):
    """The first of two processes, of which the other says what ``answer`` makes of this one's."""

    def __init__(self, answer):
        super().__init__("cpu")
        self.count = 2
        self.answer = answer

    def average(self, tensors):
        pass

    def gather(self, tensor):
        return [tensor, self.answer(tensor)]


@pytest.mark.parametrize("change", [(1, 0), (0, 1)], ids=["step", "weights"])
def test_processes_in_different_states_do_not_start(data, tmp_path, change):
    processes = Second(lambda own: own + torch.tensor(change))
    trainer = make_trainer(data, Checkpoint("run", tmp_path), options={"processes": processes})
    with pytest.raises(ColorpipeError, match=r"not hold the same weights .* one folder that they"):
        trainer.run()
    assert trainer.step == 0


def test_a_checkpoint_stays_until_every_process_has_read_it(data, tmp_path):
    checkpoint = Checkpoint("run", tmp_path)
    make_trainer(data, checkpoint).run()
    there = []

    def late(own):
        there.append((int(own[0]), checkpoint.path.exists()))
        return own

    trainer = make_trainer(data, checkpoint, options={"processes": Second(late)})
    trainer.run()
    assert there == [(trainer.steps, True)]


def test_losses_are_kept_by_epoch_and_phase(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))
    trainer.run()
    assert [row["epoch"] for row in trainer.losses.rows] == [1, 2, 3, 4]
    assert ["discriminator" in row for row in trainer.losses.rows] == [False, False, True, True]
    assert all(row["ciede2000"] > 0 for row in trainer.validation.rows)


def test_it_learns_the_photos(data, tmp_path):
    photos = data[0]
    trainer = make_trainer(
        data,
        Checkpoint("run", tmp_path),
        epochs=60,
        batch_size=8,
        size=64,
        width=16,
        encoder="lite1",
        pretrained_encoder=True,
        adversarial_share=0,
    )
    recipe, cpu = trainer.recipe, torch.device("cpu")
    gray = measure(recipe, trainer.generator, photos.pixels, cpu, torch.float32).metrics
    made = measure(recipe, trainer.run(), photos.pixels, cpu, torch.float32).metrics
    assert made["ciede2000"] < 0.6 * gray["ciede2000"]
    assert 0.5 < made["colorfulness_ratio"] < 1.3


def test_the_discriminator_is_trained_in_its_phase_only(data, tmp_path, monkeypatch):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))
    before = weights(trainer.networks["discriminator"])
    stop_after(trainer, monkeypatch, 4)
    with pytest.raises(StoppedError):
        trainer.run()
    assert torch.equal(weights(trainer.networks["discriminator"]), before)
    resumed = make_trainer(data, Checkpoint("run", tmp_path))
    resumed.run()
    assert not torch.equal(weights(resumed.networks["discriminator"]), before)


def test_without_averaging_the_generator_itself_is_returned(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path), ema=0.0)
    assert trainer.run() is trainer.generator


def test_a_loss_that_is_not_a_number_stops_with_where(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))
    with torch.no_grad():
        trainer.generator.output.bias.fill_(float("nan"))
    with pytest.raises(ColorpipeError, match="'generator' is nan in epoch 1, step 1"):
        trainer.run()


def test_weights_that_the_last_step_broke_are_not_the_result(data, tmp_path, monkeypatch):
    trainer = make_trainer(data, Checkpoint("run", tmp_path), epochs=1)
    step = trainer._train_step

    def broken(phase, where):
        step(phase, where)
        if trainer.step + 1 == trainer.steps:
            with torch.no_grad():
                trainer.generator.output.bias.fill_(float("inf"))

    monkeypatch.setattr(trainer, "_train_step", broken)
    with pytest.raises(ColorpipeError, match="no numbers after epoch 1: training has diverged"):
        trainer.run()
    assert trainer.validation.rows == []


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_running_out_of_memory_says_what_to_lower(data, tmp_path, monkeypatch, error):
    trainer = make_trainer(data, Checkpoint("run", tmp_path))

    def full(phase, where):
        raise error

    monkeypatch.setattr(trainer, "_train_step", full)
    with pytest.raises(ColorpipeError, match=r"batch of 4 .* lower train\.batch_size"):
        trainer.run()


def test_checkpoints_are_written_as_time_passes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL", -1.0)
    checkpoint = Checkpoint("run", tmp_path)
    trainer = make_trainer(data, checkpoint)
    trainer.run()
    assert checkpoint.load()["step"] == trainer.steps


def test_cyclegan_with_its_pools_resumes_to_the_same_weights(data, tmp_path, monkeypatch):
    settings = {"epochs": 1, "size": 32, "halvings": 5, "width": 4, "pool": 2}
    make = {"recipe": "cyclegan", **settings}
    whole = make_trainer(data, Checkpoint("whole", tmp_path), **make)
    expected = weights(whole.run())
    stopped = make_trainer(data, Checkpoint("parts", tmp_path), **make)
    stop_after(stopped, monkeypatch, 5)
    with pytest.raises(StoppedError):
        stopped.run()
    resumed = make_trainer(data, Checkpoint("parts", tmp_path), **make)
    assert torch.equal(weights(resumed.run()), expected)
    assert resumed.losses.rows == whole.losses.rows


def test_cyclegan_gets_unpaired_photos(data, tmp_path):
    recipe = {"recipe": "cyclegan", "epochs": 1, "size": 32, "halvings": 5, "width": 4, "pool": 0}
    trainer = make_trainer(data, Checkpoint("run", tmp_path), **recipe)
    paired = 0
    for step in range(trainer.steps):
        trainer.step = step
        photo = trainer.recipe.encode(trainer.sampler.batch(trainer.step, trainer.device))
        batch = trainer._batch(None)
        assert torch.equal(batch.y, photo.y)
        paired += torch.equal(batch.x, photo.x)
    assert paired <= 2


def test_both_optimizers_follow_their_schedule(data, tmp_path):
    settings = {"epochs": 2, "size": 32, "halvings": 5, "width": 4, "batch_size": 4}
    trainer = make_trainer(data, Checkpoint("run", tmp_path), recipe="pix2pix", **settings)
    trainer.run()
    for optimizer in trainer.optimizers.values():
        # The last of four steps is three quarters on the way: half of the rate is left.
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_gradients_are_clipped(data, tmp_path, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(parameters, limit):
        clip(parameters, limit)
        norms.append(float(torch.cat([w.grad.flatten() for w in parameters]).norm()))

    monkeypatch.setattr(training.nn.utils, "clip_grad_norm_", spy)
    make_trainer(data, Checkpoint("run", tmp_path), epochs=2, clip=0.5).run()
    assert len(norms) == 6  # Two epochs of two steps; the second epoch has a discriminator.
    assert max(norms) < 0.5001
    norms.clear()
    make_trainer(data, Checkpoint("run", tmp_path), epochs=2).run()
    assert norms == []


def test_the_best_weights_by_the_metric_are_kept(data, tmp_path, monkeypatch):
    costs = iter([12.0, 10.0, 11.0, 10.0])
    seen = []

    def measured(recipe, generator, *arguments, **options):
        seen.append(weights(generator).clone())
        return Measured({"ciede2000": next(costs), "colorfulness_ratio": 1.0}, [], [])

    monkeypatch.setattr(validation, "measure", measured)
    trainer = make_trainer(
        data, Checkpoint("run", tmp_path), options={"best_in": "ciede2000"}, ema=0.9
    )
    generator = trainer.run()
    assert trainer.validation.best.epoch == 2
    assert torch.equal(weights(generator), seen[1])
    assert not torch.equal(seen[1], seen[3])


def test_the_best_weights_outlive_a_stop(data, tmp_path, monkeypatch):
    # The second epoch is the best, in the run that is whole and in the two parts of the other.
    costs = iter([3.0, 1.0, 2.0, 4.0] * 2)

    def measured(*arguments, **options):
        return Measured({"ciede2000": next(costs), "colorfulness_ratio": 1.0}, [], [])

    monkeypatch.setattr(validation, "measure", measured)
    best = {"options": {"best_in": "ciede2000"}}
    expected = weights(make_trainer(data, Checkpoint("whole", tmp_path), **best).run())
    stopped = make_trainer(data, Checkpoint("parts", tmp_path), **best)
    stop_after(stopped, monkeypatch, 7)
    with pytest.raises(StoppedError):
        stopped.run()
    resumed = make_trainer(data, Checkpoint("parts", tmp_path), **best)
    assert torch.equal(weights(resumed.run()), expected)
    assert resumed.validation.best.epoch == 2


def trained(data):
    """Weights to start from, as far from those that seed 0 draws as another seed's."""
    torch.manual_seed(7)
    recipe = get_recipe("colorpipe", SETTINGS)
    return recipe.generator().state_dict()


def test_a_start_is_taken_by_the_generator_and_its_average(data, tmp_path):
    start = trained(data)
    trainer = make_trainer(data, Checkpoint("run", tmp_path), options={"start": start}, ema=0.9)
    for module in (trainer.generator, trainer.average):
        assert all(torch.equal(value, start[name]) for name, value in module.state_dict().items())
    assert trainer.average is not trainer.generator


def test_the_average_stays_near_trained_weights_only(data, tmp_path):
    def kept(start):
        name = "started" if start else "fresh"
        trainer = make_trainer(
            data, Checkpoint(name, tmp_path), options={"start": start}, ema=0.9, epochs=100
        )
        before = trainer.average.output.weight.clone()
        trainer.advance(2)  # The rate rises from zero: the first step moves no weight.
        average, generator = (each.output.weight for each in (trainer.average, trainer.generator))
        return ((average - before).norm() / (generator - before).norm()).item()

    assert kept(trained(data)) == pytest.approx(0.1, rel=0.01)
    assert kept(None) == pytest.approx(9 / 11, rel=0.01)


def test_the_average_covers_at_most_a_tenth_of_a_short_run(data, tmp_path):
    decays = {}
    for epochs in (1, 50, 1000):
        trainer = make_trainer(data, Checkpoint(str(epochs), tmp_path), ema=0.98, epochs=epochs)
        decays[trainer.steps] = trainer.decay
    short, middle, long = sorted(decays)
    assert short < 10
    assert decays == {short: 0, middle: pytest.approx(1 - 10 / middle), long: 0.98}


def test_a_start_has_its_share_in_validated_and_final_weights(data, tmp_path, monkeypatch):
    seen = []

    def measured(recipe, generator, *arguments, **options):
        seen.append(weights(generator).clone())
        return Measured({"ciede2000": 1.0, "colorfulness_ratio": 1.0}, [], [])

    monkeypatch.setattr(validation, "measure", measured)
    start = trained(data)

    def run(share):
        name = str(share)
        options = {"start": start}
        trainer = make_trainer(
            data, Checkpoint(name, tmp_path), options=options, ema=0.9, start_share=share
        )
        return weights(trainer.run()), weights(trainer.average)

    without, average = run(0.0)
    mixed, same = run(0.25)
    assert torch.equal(without, average)
    assert torch.equal(same, average)
    before = torch.cat([value.flatten().float() for value in start.values()])
    # Counters of batches are no weights: the last ones stay.
    moved = average != before
    expected = torch.where(average == average.round(), average, 0.25 * before + 0.75 * average)
    assert moved.any()
    assert torch.allclose(mixed, expected, atol=1e-5)
    assert torch.equal(seen[-1], mixed)


def test_without_a_start_nothing_has_a_share(data, tmp_path):
    trainer = make_trainer(data, Checkpoint("run", tmp_path), start_share=0.25)
    assert trainer.run() is trainer.average


@pytest.mark.parametrize(("costs", "best"), [([9, 10, 11, 12, 13], 0), ([9, 10, 8, 12, 13], 2)])
def test_a_start_is_kept_when_no_epoch_is_better(data, tmp_path, monkeypatch, costs, best):
    left = iter(costs)
    seen = []

    def measured(recipe, generator, *arguments, **options):
        seen.append(weights(generator).clone())
        return Measured({"ciede2000": float(next(left)), "colorfulness_ratio": 1.0}, [], [])

    monkeypatch.setattr(validation, "measure", measured)
    start = trained(data)
    options = {"start": start, "best_in": "ciede2000"}
    trainer = make_trainer(data, Checkpoint("run", tmp_path), options=options, ema=0.9)
    generator = trainer.run()
    assert [row["epoch"] for row in trainer.validation.rows] == [0, 1, 2, 3, 4]
    assert trainer.validation.best.epoch == best
    assert torch.equal(weights(generator), seen[best])
    assert torch.equal(seen[0], torch.cat([value.flatten().float() for value in start.values()]))


def test_a_start_is_looked_at_once_and_outlives_a_stop(data, tmp_path, monkeypatch):
    options = {"start": trained(data), "samples": 1}
    checkpoint = Checkpoint("parts", tmp_path)
    stopped = make_trainer(data, checkpoint, options=options)
    stop_after(stopped, monkeypatch, 1)
    with pytest.raises(StoppedError):
        stopped.run()
    resumed = make_trainer(data, checkpoint, options=options)
    resumed.run()
    assert [row["epoch"] for row in resumed.validation.rows] == [0, 1, 2, 3, 4]
    assert checkpoint.sheets()[0].name == "epoch-0000.png"


def test_convolutions_are_computed_in_the_type_asked_for(data, tmp_path):
    for dtype in (torch.float32, torch.bfloat16):
        seen = set()
        checkpoint = Checkpoint(str(dtype), tmp_path)
        trainer = make_trainer(data, checkpoint, options={"dtype": dtype}, epochs=2)
        for network in trainer.networks.values():
            for layer in network.modules():
                if isinstance(layer, torch.nn.Conv2d):
                    layer.register_forward_hook(lambda module, x, y, seen=seen: seen.add(y.dtype))
        result = trainer.run()
        assert seen == {dtype}
        assert all(weight.dtype == torch.float32 for weight in result.parameters())


def test_the_best_cannot_be_known_without_validation_photos(data, tmp_path):
    with pytest.raises(ColorpipeError, match=r"'best', but .*split\.val_fraction"):
        make_trainer((data[0], None), Checkpoint("run", tmp_path), options={"best_in": "ciede2000"})


def test_a_checkpoint_of_another_recipe_is_named_with_what_to_do(data, tmp_path):
    checkpoint = Checkpoint("run", tmp_path)
    make_trainer(data, checkpoint)._save()
    other = {"size": 32, "halvings": 5, "width": 4, "batch_size": 4, "epochs": 1}
    with pytest.raises(ColorpipeError, match=r"run/last\.pt is of another version or .* delete it"):
        make_trainer(data, checkpoint, recipe="pix2pix", **other).run()


def test_every_epoch_leaves_a_contact_sheet(data, tmp_path):
    checkpoint = Checkpoint("run", tmp_path)
    make_trainer(data, checkpoint, options={"samples": 2}, epochs=2).run()
    names = [path.name for path in checkpoint.sheets()]
    assert names == ["epoch-0001.png", "epoch-0002.png"]


def test_compiled_networks_train_and_keep_their_names(data, tmp_path, monkeypatch):
    # "eager" compiles to plain calls: what is tested is how we use it, not the compiler.
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self: compile_module(self, backend="eager")
    )
    plain = make_trainer(data, Checkpoint("plain", tmp_path), epochs=1).run()
    compiled = make_trainer(
        data, Checkpoint("compiled", tmp_path), epochs=1, options={"compiled": True}
    ).run()
    assert list(compiled.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(weights(compiled), weights(plain), rtol=1e-3, atol=1e-3)


def test_the_early_pictures_are_smaller(data, tmp_path, monkeypatch):
    trainer = make_trainer(
        data, Checkpoint("k", tmp_path), size=64, early_share=0.25, early_size=32, epochs=4
    )
    sizes = []
    encode = trainer.recipe.encode
    monkeypatch.setattr(
        trainer.recipe, "encode", lambda rgb: sizes.append(rgb.shape[-1]) or encode(rgb)
    )
    trainer.run()
    assert sizes == [32] * 2 + [64] * 6
