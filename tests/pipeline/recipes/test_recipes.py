import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import skimage.data
import torch
from skimage.color import rgb2lab

from pipeline.errors import ColorpipeError
from pipeline.imaging import color
from pipeline.recipes import RECIPES, get_recipe, recipe_class
from pipeline.recipes.shared.base import Phase

UNET = {"size": 32, "halvings": 5, "width": 8}
# The smallest pictures that each recipe's networks can take, and slim networks, for speed.
SMALL = {
    "colorpipe": {"size": 64, "width": 8},
    "landscape-rgb": {"size": 142},
    "dilated-unet": {"size": 128, "width": 4},
    "heartbeat": {"size": 48},
    "pix2pix": UNET,
    "cyclegan": {**UNET, "pool": 2},
    "unet": UNET,
    "cgan": UNET,
    "cgan-pretrained": UNET,
    "dcgan": {"size": 32, "width": 8},
}


@pytest.fixture
def photo():
    square = skimage.data.coffee()[:192, :192]
    return torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255


def small_batch(recipe, photo):
    size = recipe.settings.size
    photos = photo if size > 64 else torch.cat([photo, photo.flip(3)])
    return recipe.encode(torch.nn.functional.interpolate(photos, size=(size, size)))


class Oracle(torch.nn.Module):
    """A generator that knows the answer."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        del x
        return self.answer


def test_every_recipe_is_tried_here():
    assert list(SMALL) == list(RECIPES)


def test_the_module_of_every_recipe_has_its_class():
    assert [recipe_class(name).name for name in RECIPES] == list(RECIPES)


def test_the_names_are_known_without_torch():
    code = "import sys, pipeline.recipes; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_imports_no_other(name):
    # dvc.yaml depends on the module of one recipe: another's must not decide what it gives.
    code = (
        "import sys; from pipeline.recipes import RECIPES, recipe_class; recipe_class(sys.argv[1]);"
        " print(*(name for name in RECIPES if f'pipeline.recipes.{name}' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [name]


@pytest.mark.parametrize("name", RECIPES)
def test_the_target_of_training_is_the_photos_colors(name, photo):
    # What is learned, before colorpipe makes it more vivid.
    plain = {"vividness": 1.0, "faint": 0.0, "aged": 0.0, "luminance": 0.0}
    recipe = get_recipe(name, plain if name == "colorpipe" else {})
    batch = recipe.encode(photo)
    ab = recipe.predict_ab(Oracle(batch.y), batch.x)
    if name == "colorpipe":  # it learns color at half the size
        photo = torch.nn.functional.avg_pool2d(photo, 2)
    truth = rgb2lab(photo[0].permute(1, 2, 0).numpy())[..., 1:]
    assert np.abs(ab[0].permute(1, 2, 0).numpy() - truth).max() < 0.05
    assert batch.x.shape == (1, 1, 192, 192)
    assert batch.x.abs().max() <= 1


@pytest.mark.parametrize("name", RECIPES)
def test_every_update_lowers_its_own_losses(name, photo):
    torch.manual_seed(0)
    recipe = get_recipe(name, SMALL[name])
    networks = recipe.networks()
    optimizers = recipe.optimizers(networks, fused=True)
    batch = small_batch(recipe, photo)

    def totals(descend=None):
        torch.manual_seed(1)
        found = {}
        for update in recipe.updates(recipe.phases[-1], 0, batch, networks):
            total = torch.stack(list(update.losses.values())).sum()
            found[update.optimizer] = float(total.detach())
            if update.optimizer == descend:
                optimizers[descend].zero_grad()
                total.backward()
                optimizers[descend].step()
        return found

    for key, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = 1e-5
        before = totals(descend=key)[key]
        assert totals()[key] < before, key


@pytest.mark.parametrize("name", RECIPES)
def test_an_update_gives_gradients_to_its_own_networks_only(name, photo):
    torch.manual_seed(0)
    recipe = get_recipe(name, SMALL[name])
    networks = recipe.networks()
    optimizers = recipe.optimizers(networks, fused=True)
    everything = [
        weight
        for network in networks.values()
        for weight in network.parameters()
        if weight.requires_grad
    ]
    batch = small_batch(recipe, photo)
    updated = []
    for update in recipe.updates(recipe.phases[-1], 0, batch, networks):
        torch.stack(list(update.losses.values())).sum().backward()
        groups = optimizers[update.optimizer].param_groups
        own = {id(weight) for group in groups for weight in group["params"]}
        given = {id(weight) for weight in everything if weight.grad is not None}
        assert given == own, update.optimizer
        for weight in everything:
            weight.grad = None
        updated.append(update.optimizer)
    assert sorted(updated) == sorted(optimizers)


def test_cyclegans_color_photos_have_their_lightness(photo):
    # Without it, any colors would do on any photo, and the way back could not be known.
    recipe = get_recipe("cyclegan", SMALL["cyclegan"])
    batch = small_batch(recipe, photo)
    assert torch.equal(batch.y[:, :1], batch.x)
    assert batch.y.shape[1] == 3
    networks = recipe.networks()
    made = networks["generator"](batch.x)
    assert torch.equal(made[:, :1], batch.x)
    brighter = torch.cat([made[:, :1] + 0.5, made[:, 1:]], dim=1)
    for opponent in ("color_discriminator", "gray_generator"):
        assert not torch.allclose(networks[opponent](made), networks[opponent](brighter)), opponent


def test_cyclegans_generators_drop_nothing_as_the_authors_do():
    networks = get_recipe("cyclegan", SMALL["cyclegan"]).networks()
    x = {"generator": torch.randn(1, 1, 32, 32), "gray_generator": torch.randn(1, 3, 32, 32)}
    for name, given in x.items():
        network = networks[name].train()
        assert torch.equal(network(given), network(given)), name


def test_landscape_rgb_does_not_depend_on_its_discriminator(photo):
    found = []
    for discriminator in (True, False):
        torch.manual_seed(0)
        recipe = get_recipe("landscape-rgb", {"size": 142, "discriminator": discriminator})
        networks = recipe.networks()
        assert ("discriminator" in networks) == discriminator
        optimizers = recipe.optimizers(networks, fused=True)
        for update in recipe.updates(recipe.phases[0], 0, small_batch(recipe, photo), networks):
            torch.stack(list(update.losses.values())).sum().backward()
            optimizers[update.optimizer].step()
        found.append(torch.cat([w.flatten() for w in networks["generator"].parameters()]))
    assert torch.equal(*found)


def test_landscape_rgbs_discriminator_needs_room():
    with pytest.raises(ColorpipeError, match="'discriminator' is true, but must be false for"):
        get_recipe("landscape-rgb", {"size": 64})
    assert get_recipe("landscape-rgb", {"size": 64, "discriminator": False}).settings.size == 64


@pytest.mark.parametrize("name", RECIPES)
def test_phases_fill_the_epochs(name):
    for epochs in (1, 2, 7, 60):
        phases = get_recipe(name, {"epochs": epochs}).phases
        assert sum(phase.epochs for phase in phases) == epochs
        assert all(phase.epochs > 0 for phase in phases)


def test_colorpipe_fades_faint_colors_and_strengthens_the_others(photo):
    recipe = get_recipe("colorpipe", {"vividness": 1.5, "pale": 0.0, "faint": 20.0})
    batch = recipe.encode(photo)
    halved = torch.nn.functional.avg_pool2d(photo, 2)
    learned = rgb2lab(halved[0].permute(1, 2, 0).numpy())[..., 1:]
    shown = recipe.predict_ab(Oracle(batch.y), batch.x)[0].permute(1, 2, 0).numpy()
    chroma = np.linalg.norm(learned, axis=-1, keepdims=True)
    assert np.abs(shown - learned * 1.5 * np.minimum(chroma / 20, 1)).max() < 0.1
    assert (chroma < 20).any() and (chroma > 20).any()


def test_colorpipe_strengthens_pale_photos_and_leaves_vivid_ones(photo):
    recipe = get_recipe("colorpipe", {"vividness": 1.5, "pale": 16.0})
    shares = (0.05, 0.5, 1.0, 2.0)
    learned = recipe.encode(photo).y
    chroma = color.tensor_chroma(color.tensor_expand_chroma(learned * 20)).mean()
    factors = []
    for share in shares:
        of_mean = color.tensor_expand_chroma(learned * 20) * (share * 16 / chroma)
        oracle = Oracle(color.tensor_compress_chroma(of_mean) / 20)
        shown = recipe.predict_ab(oracle, torch.zeros(1, 1, 8, 8))
        factors.append((color.tensor_chroma(shown).mean() / (share * 16)).item())
    assert factors == pytest.approx([1.5, 1.47, 1.25, 1.03], abs=0.01)
    # Each photo by itself, however many there are.
    several = torch.cat([learned * share for share in shares])
    together = recipe.predict_ab(Oracle(several), torch.zeros(4, 1, 8, 8))
    for own, one in zip(together, several, strict=True):
        alone = recipe.predict_ab(Oracle(one[None]), torch.zeros(1, 1, 8, 8))
        assert torch.equal(own, alone[0])


def test_colorpipe_takes_some_grays_from_film_instead_of_luma(photo):
    torch.manual_seed(0)
    many = torch.nn.functional.interpolate(photo, size=(32, 32)).expand(200, -1, -1, -1)
    recipe = get_recipe("colorpipe", {"luminance": 0.25, "aged": 0.0})
    gray = (recipe.encode(many).x + 1) / 2
    of_luma = (gray - color.tensor_luma(many)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert 130 < of_luma.sum() < 170


def test_colorpipe_starts_from_imagenets_encoder():
    torch.manual_seed(0)
    recipe = get_recipe("colorpipe", {"width": 4})
    networks = recipe.networks()
    fresh = networks["generator"].encoder.head[0].weight.clone()
    recipe.initialize(networks)
    learned = networks["generator"].encoder.head[0].weight
    assert not torch.equal(learned, fresh)
    other = get_recipe("colorpipe", {"width": 4, "pretrained_encoder": False}).networks()
    before = other["generator"].encoder.head[0].weight.clone()
    get_recipe("colorpipe", {"width": 4, "pretrained_encoder": False}).initialize(other)
    assert torch.equal(other["generator"].encoder.head[0].weight, before)


@pytest.mark.parametrize("faint", [0.0, 15.0])
def test_colorpipe_takes_hints_in_the_colors_that_it_shows(faint):
    """A network that repeats its hints gives the very colors that were hinted."""

    class Repeating(torch.nn.Module):
        def forward(self, x, hints=None):
            return x.new_full((1, 2, 8, 8), 0.4) if hints is None else hints[:, :2]

    recipe = get_recipe("colorpipe", {"vividness": 1.4, "faint": faint})
    hints = torch.zeros(1, 3, 8, 8)
    hints[0, :, 2, 3] = torch.tensor([30.0, -20.0, 1.0])
    hints[0, :, 5, 1] = torch.tensor([2.0, 5.0, 0.5])
    ab = recipe.predict_ab(Repeating(), torch.zeros(1, 1, 16, 16), hints)
    torch.testing.assert_close(ab, hints[:, :2], atol=1e-2, rtol=1e-3)


def test_colorpipe_freezes_no_stage_that_knows_nothing():
    for pretrained, frozen in ((True, True), (False, False)):
        generator = get_recipe("colorpipe", {"pretrained_encoder": pretrained}).generator()
        assert any(not weight.requires_grad for weight in generator.parameters()) == frozen


def test_colorpipe_trains_what_was_compiled(photo):
    recipe = get_recipe("colorpipe", {"epochs": 1, "pretrained_encoder": False})
    networks = recipe.networks()
    called = []
    networks["generator"].compile(backend=lambda graph, _: called.append(graph) or graph.forward)
    batch = recipe.encode(photo.expand(2, -1, -1, -1))
    next(recipe.updates(Phase("regression", 1, adversarial=False), 0, batch, networks))
    assert called


@pytest.mark.parametrize("early", [0.0, 0.5])
def test_colorpipes_rate_never_jumps_between_phases(early):
    recipe = get_recipe("colorpipe", {"early_share": early})
    *regressions, adversarial = recipe.phases
    names = ["early", "regression"] if early else ["regression"]
    assert [phase.name for phase in regressions] == names
    assert adversarial.name == "adversarial"
    rates = [
        recipe.rate_factor("generator", phase, share / 100)
        for phase in regressions
        for share in range(100)
    ]
    assert max(rates) <= 1
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.25
    last = recipe.rate_factor("generator", adversarial, 0.5)
    assert last == pytest.approx(rates[-1], abs=0.01)


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_colorpipes_rate_is_never_above_the_one_asked_for(share):
    settings = {"learning_rate": 1e-5, "adversarial_share": share}
    recipe = get_recipe("colorpipe", settings)
    for phase in recipe.phases:
        rates = [recipe.rate_factor("generator", phase, step / 100) for step in range(100)]
        assert max(rates) == 1
        assert rates[-1] == 1
        assert recipe.rate_factor("discriminator", phase, 0.5) == 1


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "unet"])
def test_the_rates_fall_to_zero_in_the_second_half(name):
    recipe = get_recipe(name)
    (phase,) = recipe.phases
    for optimizer in ("generator", "discriminator"):
        rates = [recipe.rate_factor(optimizer, phase, p) for p in (0, 0.25, 0.5, 0.75, 1)]
        assert rates == [1, 1, 1, 0.5, 0]


@pytest.mark.parametrize("name", RECIPES)
def test_the_values_for_fine_tuning_are_hyper_parameters_of_it(name):
    changes = recipe_class(name).fine_tuning
    assert get_recipe(name, changes).settings.model_dump().items() >= changes.items()


PUBLISHED = {
    # Name: epochs, batch, size, rate, and the recipe's own.
    "landscape-rgb": (200, 16, 200, 5e-4, {}),
    "dilated-unet": (350, 64, 128, 5e-4, {}),
    "heartbeat": (350, 64, 128, 5e-4, {"label_noise": 0.1}),
    "pix2pix": (200, 16, 256, 2e-4, {"lambda_l1": 100, "halvings": 8}),
    "cyclegan": (200, 1, 256, 2e-4, {"lambda_cycle": 10, "pool": 50, "halvings": 8}),
    "unet": (200, 16, 256, 2e-4, {"lambda_l1": 100}),
    "cgan": (100, 16, 256, 2e-4, {"lambda_l1": 100, "pretraining_share": 0}),
    "cgan-pretrained": (40, 16, 256, 2e-4, {"pretraining_share": 0.5, "pretraining_rate": 1e-4}),
    "dcgan": (20, 8, 256, 5e-4, {"lambda_l1": 100, "smoothing": 0.1, "discriminator_every": 2}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_hyper_parameters_are_the_systems(name):
    epochs, batch, size, rate, own = PUBLISHED[name]
    settings = get_recipe(name).settings
    assert (settings.epochs, settings.batch_size, settings.size) == (epochs, batch, size)
    assert settings.learning_rate == rate
    assert settings.ema == settings.clip == 0
    assert {key: getattr(settings, key) for key in own} == own


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "unet", "cgan", "dcgan"])
def test_adam_has_the_papers_momentum(name):
    recipe = get_recipe(name, SMALL[name])
    for optimizer in recipe.optimizers(recipe.networks(), fused=False).values():
        assert type(optimizer) is torch.optim.Adam
        assert optimizer.defaults["betas"] == (0.5, 0.999)


def test_an_unknown_recipe_or_setting_is_named_with_the_known():
    with pytest.raises(ColorpipeError, match=r"no recipe 'colorpip'.*landscape-rgb.*'colorpipe'"):
        get_recipe("colorpip")
    with pytest.raises(ColorpipeError, match=r"landscape-rgb: 'ema_' is not a known key"):
        get_recipe("landscape-rgb", {"ema_": 1})


def test_a_size_that_does_not_fit_is_refused_with_one_that_does():
    with pytest.raises(ColorpipeError, match=r"multiple of 256.* 200 is not.* 256; or .*halvings"):
        get_recipe("pix2pix", {"size": 200})
    with pytest.raises(ColorpipeError, match=r"multiple of 32 px.*train\.size to 192\.$"):
        get_recipe("colorpipe", {"size": 200})
    with pytest.raises(ColorpipeError, match="'early_size' is 70, but must be a multiple of 32"):
        get_recipe("colorpipe", {"early_size": 70})
    assert get_recipe("pix2pix", {"size": 128, "halvings": 7}).multiple == 128
