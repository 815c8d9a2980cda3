"""Luma, Lab and the gamut, against Pillow, scikit-image and arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from pipeline.imaging import color


@pytest.fixture(params=[np.uint8, np.uint16])
def depth(request: pytest.FixtureRequest) -> type[np.unsignedinteger]:
    return request.param


def test_luma_is_pillows_for_every_kind_of_color() -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 52, 3)
    assert np.array_equal(color.luma(cube), np.asarray(Image.fromarray(cube).convert("L")))


def test_luma_of_16_bits_reaches_white_and_keeps_neutral_grays() -> None:
    grays = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(color.luma(np.dstack([grays] * 3)), grays)


def test_lightness_of_luma_is_that_of_the_neutral_gray() -> None:
    grays = np.arange(256, dtype=np.uint8)
    truth = rgb2lab(np.dstack([grays[None]] * 3))[0, :, 0]
    assert np.allclose(color.lightness_of_luma(grays), truth, atol=0.01)


def test_rgb_to_lab_follows_the_formulas() -> None:
    photo = skimage.data.astronaut()
    photo[:4, :4], photo[4:8, :4] = 0, 255
    lab = color.rgb_to_lab(photo)
    assert lab.dtype == np.float32
    assert np.abs(lab - rgb2lab(photo / 255)).max() < 0.0005


def test_merge_keeps_luma_exactly_whatever_the_colors(depth: type[np.unsignedinteger]) -> None:
    random = np.random.default_rng(0)
    white = np.iinfo(depth).max
    gray = random.integers(0, white, (300, 400), dtype=depth, endpoint=True)
    differences = random.normal(0, white, (300, 400, 2)).astype(np.float32)
    differences[:20] = 0
    before = differences.copy()
    result = color.merge(gray, differences)
    assert result.dtype == depth
    assert np.array_equal(color.luma(result), gray)
    assert np.array_equal(differences, before)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (1, 4), (3, 2)])
def test_merge_takes_pictures_that_opencv_could_take_for_scalars(shape: tuple[int, int]) -> None:
    gray = np.full(shape, 100, np.uint8)
    result = color.merge(gray, np.full((*shape, 2), 30, np.float32))
    assert result.tolist() == np.full((*shape, 3), [130, 79, 130]).tolist()


def test_chroma_over_gives_the_color_that_lab_names_inside_the_gamut() -> None:
    photo = skimage.data.coffee()
    lab = rgb2lab(photo).astype(np.float32)
    gray = color.luma(photo)
    result = color.chroma_over(gray, lab[..., 1:])
    assert np.array_equal(color.luma(result), gray)
    assert deltaE_ciede2000(rgb2lab(result), lab).mean() < 1.5


@pytest.mark.parametrize("level", [40, 128, 220])
def test_colors_outside_the_gamut_lose_chroma_and_keep_their_hue(level: int) -> None:
    gray = np.full((1, 360), level, np.uint8)
    angle = np.deg2rad(np.arange(360))
    ab = 300 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None].astype(np.float32)
    rgb = color.differences_over(gray, ab)
    green = -(color.LUMA_R * rgb[..., 0] + color.LUMA_B * rgb[..., 1]) / color.LUMA_G
    exact = level + np.stack([rgb[..., 0], green, rgb[..., 1]], axis=-1)
    assert exact.min() > -0.01
    assert exact.max() < 255.01
    result = rgb2lab(exact / 255)
    turned = np.arctan2(result[..., 2], result[..., 1]) - angle
    assert np.abs(np.angle(np.exp(1j * turned))).mean() < np.deg2rad(4)
    assert np.hypot(result[..., 1], result[..., 2]).min() > 10


def test_the_nearest_color_of_a_luma_is_found() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (1, 20, 3), np.uint8)
    tones, ab = color.luma(rgb)[0], color.rgb_to_lab(rgb)[0, :, 1:]
    there = color.nearest_of_luma(tones, ab)
    assert np.abs(there - ab).max() < 1.5
    assert np.abs(color.nearest_of_luma(tones, np.zeros_like(ab))).max() < 0.01

    # At other tones there may be no such color: the best of all is hardly better.
    excess = []
    for tone, wanted in zip(tones[::-1], ab, strict=True):
        red, blue = (each.ravel() for each in np.mgrid[:256, :256])
        green = np.clip(np.rint((tone - 0.299 * red - 0.114 * blue) / 0.587), 0, 255)
        every = np.stack([red, green, blue], axis=-1).astype(np.uint8)[None]
        lab = color.rgb_to_lab(every[:, color.luma(every)[0] == tone])[0]
        found = color.nearest_of_luma(np.array([tone], np.uint8), wanted[None])
        place = np.abs(lab[:, 1:] - found).sum(axis=-1).argmin()
        asked = np.hstack([lab[:, :1], np.broadcast_to(wanted, (len(lab), 2))])
        apart = deltaE_ciede2000(lab, asked)
        excess.append(apart[place] - apart.min())
    assert max(excess) < 4
    assert np.mean(excess) < 1


def test_no_color_stays_no_color() -> None:
    gray = np.arange(256, dtype=np.uint8)[None]
    result = color.chroma_over(gray, np.zeros((1, 256, 2), np.float32))
    assert np.array_equal(result, np.dstack([gray] * 3))


def test_fit_gamut_holds_over_a_range_of_luma() -> None:
    random = np.random.default_rng(0)
    darkest = random.integers(0, 200, (50, 60), dtype=np.uint8)
    brightest = darkest + random.integers(0, 55, (50, 60), dtype=np.uint8)
    red, blue = random.normal(0, 80, (2, 50, 60)).astype(np.float32)
    color.fit_gamut(darkest, brightest, red, blue)
    green = -(color.LUMA_R * red + color.LUMA_B * blue) / color.LUMA_G
    for difference in (red, green, blue):
        assert (darkest + difference).min() > -0.01
        assert (brightest + difference).max() < 255.01


def test_a_pictures_colors_are_laid_over_its_own_tones_and_over_others() -> None:
    photo = skimage.data.astronaut()
    differences = color.differences_of(photo)
    same = color.merge(color.luma(photo), differences)
    assert np.abs(same.astype(int) - photo).mean() < 0.5
    darker = color.luma(photo) // 2
    assert np.array_equal(color.luma(color.merge(darker, differences)), darker)


def test_tensors_agree_with_scikit_image() -> None:
    photo = skimage.data.astronaut()[::4, ::4]
    tensor = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    lab = color.tensor_rgb_to_lab(tensor)[0].permute(1, 2, 0).numpy()
    assert np.allclose(lab2rgb(lab) * 255, photo, atol=0.5)
    luma = color.tensor_luma(tensor)
    assert np.abs(luma[0, 0].numpy() * 255 - color.luma(photo)).max() <= 0.51
    grays = torch.arange(256)[None, None, None].float() / 255
    expected = color.lightness_of_luma(np.arange(256, dtype=np.uint8))
    lightness = color.tensor_lightness(grays)
    assert np.allclose(lightness[0, 0, 0].numpy(), expected, atol=1e-3)


def _spread_of_lab() -> torch.Tensor:
    """Give a*, b* (1, 2, 40, 41) of all hues and chromas up to 110."""
    chroma, hue = torch.meshgrid(
        torch.linspace(0, 110, 40), torch.linspace(0, 6.28, 41), indexing="ij"
    )
    return torch.stack([chroma * hue.cos(), chroma * hue.sin()])[None]


def test_chroma_is_compressed_and_expanded_without_a_change_of_hue() -> None:
    ab = _spread_of_lab()
    compressed = color.tensor_compress_chroma(ab)
    assert torch.allclose(color.tensor_expand_chroma(compressed), ab, atol=1e-3)
    assert float(compressed.norm(dim=1).max()) == pytest.approx(39.63, abs=0.01)
    cross = ab[:, 0] * compressed[:, 1] - ab[:, 1] * compressed[:, 0]
    assert float(cross.abs().max()) < 1e-2


def test_faint_chroma_fades_and_the_rest_stays() -> None:
    ab = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, -10.0], [30.0, -40.0]]).T[None, :, None]
    faded = color.tensor_fade_chroma(ab, 10.0)[0, :, 0].T
    expected = [[0.0, 0.0], [1.5, 2.0], [0.0, -10.0], [30.0, -40.0]]
    assert torch.allclose(faded, torch.tensor(expected), atol=1e-5)


def test_distances_of_compressed_chroma_are_nearly_ciede2000s() -> None:
    ab = _spread_of_lab()[0]
    shifted = ab[:, :, :-1] * (1 + 3 / (ab[:, :, :-1].norm(dim=0) + 20))
    truth = deltaE_ciede2000(
        *(np.dstack([np.full(x.shape[1:], 60.0), *x.numpy()]) for x in (ab[:, :, :-1], shifted))
    )
    made = (
        color.tensor_compress_chroma(ab[None, :, :, :-1])
        - color.tensor_compress_chroma(shifted[None])
    ).norm(dim=1)[0]
    vivid = truth > 0.2
    ratio = made.numpy()[vivid] / truth[vivid]
    assert 0.6 < np.percentile(ratio, 5) < np.percentile(ratio, 95) < 1.2


def test_expanded_chroma_stays_finite() -> None:
    wild = torch.full((1, 2, 1, 1), 1e4, requires_grad=True)
    expanded = color.tensor_expand_chroma(wild)
    expanded.sum().backward()
    assert float(expanded.detach().norm()) < 1e9
    assert wild.grad is not None
    assert bool(wild.grad.isfinite().all())
