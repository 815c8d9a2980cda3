"""The colorizer as a library."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import stand_ins
import torch
from PIL import Image, ImageCms, ImageOps
from predictors import Rainbow
from torch import nn

from pipeline.errors import ColorpipeError
from pipeline.imaging import color
from pipeline.imaging.gray_photo import shrink
from pipeline.inference.colorizer import Colorizer
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.torch_predictor import TorchPredictor, fold_batch_norm
from pipeline.models.weights import load_generator

PHOTO = skimage.data.astronaut()
GRAY = color.luma(PHOTO)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins.generator(tmp_path_factory.mktemp("model") / "generator.safetensors")


@pytest.mark.parametrize("shape", [(512, 512), (1, 1), (1, 300), (300, 2), (33, 500), (97, 61)])
def test_size_and_tones_are_the_inputs(shape: tuple[int, int]) -> None:
    gray = GRAY[: shape[0], : shape[1]]
    result = Colorizer(Rainbow())(gray)
    assert result.shape == (*shape, 3)
    assert np.array_equal(color.luma(result), gray)


def test_the_colors_are_the_networks() -> None:
    result = Colorizer(Rainbow())(np.full((128, 128), 128, np.uint8))
    lab = color.rgb_to_lab(result)
    assert lab[64, 8, 1] > 30 > -30 > lab[64, 120, 1]
    assert lab[8, 64, 2] > 30 > -30 > lab[120, 64, 2]


def test_arrays_of_every_layout_and_depth_are_taken() -> None:
    colorizer = Colorizer(Rainbow())
    expected = colorizer(GRAY)
    assert np.array_equal(colorizer(GRAY[..., None]), expected)
    assert np.array_equal(colorizer(PHOTO), expected)
    alpha = np.full(GRAY.shape, 255, np.uint8)
    with_alpha = colorizer(np.dstack([PHOTO, alpha]))
    assert np.array_equal(with_alpha[..., :3], expected)
    assert np.array_equal(with_alpha[..., 3], alpha)
    wide = colorizer(GRAY.astype(np.uint16) * 257)
    assert wide.dtype == np.uint16
    assert np.array_equal(color.luma(wide), GRAY.astype(np.uint16) * 257)
    assert np.abs(wide / 257 - expected).mean() < 0.5


@pytest.mark.parametrize(
    "mode",
    ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "YCbCr", "HSV", "LAB", "La", "RGBa"],
)
def test_pillow_images_of_every_mode_are_taken(mode: str) -> None:
    image = (
        Image.fromarray(GRAY.astype(np.uint16) * 257)
        if mode == "I;16"
        else converted(Image.fromarray(PHOTO), mode)
    )
    image.info["dpi"] = (300, 300)
    result = Colorizer(Rainbow())(image)
    assert result.mode == ("RGBA" if mode in {"RGBA", "LA", "La", "RGBa"} else "RGB")
    assert result.size == image.size
    assert result.info["dpi"] == (300, 300)
    tones = np.asarray(result.convert("RGB").convert("L"))
    if mode in {"L", "RGB", "RGBA", "LA", "I;16", "La", "RGBa"}:
        assert np.array_equal(tones, GRAY)
    elif mode not in {"1", "P"}:  # those are dithered
        assert np.abs(tones.astype(int) - GRAY).mean() < 3


def converted(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    # Pillow multiplies colors by alpha on the way from the mode that has them plain only.
    plain = {"La": "LA", "RGBa": "RGBA"}.get(mode)
    return (image.convert(plain) if plain else image).convert(mode)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_comes_back_upright_and_says_so(orientation: int, format_: str) -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Maker", orientation
    stream = io.BytesIO()
    # A gray picture without detail of its own: what is compared are the colors' places.
    Image.new("RGB", (96, 160), (128, 128, 128)).save(stream, format_, exif=tags)
    image = Image.open(stream)
    result = Colorizer(Rainbow())(image)
    upright = ImageOps.exif_transpose(Image.open(stream))
    expected = Colorizer(Rainbow())(np.asarray(upright))
    assert result.size == upright.size
    assert np.abs(np.asarray(result).astype(int) - expected).max() <= 4
    result.save(again := io.BytesIO(), "PNG", exif=result.info.get("exif", b""))
    saved = Image.open(again).getexif()
    assert saved.get(0x0112, 1) == 1
    if format_ != "TIFF":  # of which Pillow has no EXIF in ``info``
        assert saved[0x010F] == "Maker"


def test_damaged_exif_tells_no_orientation() -> None:
    image = Image.fromarray(GRAY)
    image.info["exif"] = b"Exif\0\0II*\0\xff"
    assert np.array_equal(np.asarray(Colorizer(Rainbow())(image).convert("L")), GRAY)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), -1.0])
def test_a_strength_that_is_none_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match=r"strength is .*, but must be a number of at least 0\."):
        Colorizer(Rainbow(), strength=strength)


@pytest.mark.parametrize("size", [0, -4])
def test_a_size_that_is_none_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"size is .*, but must be at least 1"):
        Colorizer(Rainbow(), size=size)


def test_a_misspelled_word_is_refused() -> None:
    method: Any = "guide"
    with pytest.raises(ValueError, match="upsampling is 'guide', but must be one of guided, cubic"):
        Colorizer(Rainbow(), upsampling=method)
    runtime: Any = "onxx"
    with pytest.raises(ValueError, match="runtime is 'onxx', but must be one of auto, torch, onnx"):
        Colorizer.load("pretrained", runtime=runtime)


def test_many_pictures_of_many_sizes_come_back_in_order_and_as_when_alone() -> None:
    colorizer = Colorizer(Rainbow())
    pictures = [GRAY, GRAY[:100], GRAY[:, :200], GRAY[:100], GRAY, GRAY, GRAY, GRAY[:100]]
    for result, picture in zip(colorizer.colorize_many(pictures), pictures, strict=True):
        assert np.array_equal(result, colorizer(picture))


def test_pictures_of_one_shape_are_predicted_together() -> None:
    predictor = Rainbow()
    Colorizer(predictor).colorize_many([GRAY] * 6)
    assert predictor.shapes == [(4, 64, 64), (2, 64, 64)]


@pytest.mark.parametrize(("size", "most"), [(64, 4), (256, 4), (352, 2), (512, 1), (1024, 1)])
def test_large_pictures_are_predicted_in_smaller_batches(size: int, most: int) -> None:
    predictor = Rainbow()
    Colorizer(predictor, size=size).colorize_many([GRAY] * 4)
    assert predictor.shapes == [(most, size, size)] * (4 // most)


def test_no_pictures_give_no_results() -> None:
    assert Colorizer(Rainbow()).colorize_many([]) == []


def test_the_networks_picture_keeps_the_aspect_and_the_working_size() -> None:
    colorizer = Colorizer(Rainbow(), size=128)
    assert colorizer.working_shape((500, 500)) == (128, 128)
    assert colorizer.working_shape((1000, 2000)) == (96, 192)
    assert colorizer.working_shape((1, 100_000)) == (64, 256)


def test_strength_scales_the_colors() -> None:
    gray = np.full((128, 128), 128, np.uint8)
    spread = [
        float(np.ptp(Colorizer(Rainbow(), strength=strength)(gray).astype(int), axis=2).mean())
        for strength in (0, 0.3, 0.6)
    ]
    assert spread[0] == 0
    assert spread[2] == pytest.approx(2 * spread[1], rel=0.1)


def test_tta_averages_over_the_mirror_image() -> None:
    lab = color.rgb_to_lab(Colorizer(Rainbow(), tta=True)(np.full((128, 128), 128, np.uint8)))
    # The stand-in's a* is odd from left to right: its mean with its mirror image is nothing.
    assert np.abs(lab[..., 1]).max() < 6
    assert lab[8, 64, 2] > 30


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="rray"):
        Colorizer(Rainbow())(array)


def test_a_path_is_refused_with_what_to_give_instead() -> None:
    path: Any = "gray.jpg"
    with pytest.raises(TypeError, match=r"type str is not taken: give .* Image\.open"):
        Colorizer(Rainbow())(path)
    with pytest.raises(TypeError, match=r"type str is not taken"):
        Colorizer.load("pretrained").reference(path)


def test_images_without_a_defined_white_are_refused() -> None:
    with pytest.raises(ValueError, match="white"):
        Colorizer(Rainbow())(Image.new("F", (4, 4)))


def test_inputs_are_not_written_to() -> None:
    gray = GRAY.copy()
    gray.flags.writeable = False
    Colorizer(Rainbow())(gray)
    assert np.array_equal(gray, GRAY)


def test_weights_load_and_threads_and_batches_change_nothing(model: Path) -> None:
    colorizer = Colorizer.load(model, "cpu", strength=1.5)
    pictures = [np.roll(GRAY, 40 * step, axis=1) for step in range(5)]
    alone = [colorizer(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(np.array_equal, pool.map(colorizer, pictures), alone))
    together = colorizer.colorize_many(pictures)
    worst = max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(together, alone, strict=True))
    assert worst <= 1


def test_without_a_path_what_was_trained_here_is_loaded_or_else_what_ships(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = Colorizer.load(device="cpu")(GRAY)
    assert np.array_equal(shipped, Colorizer.load(pretrained_weights(), "cpu")(GRAY))
    Path("models").mkdir()
    Path("models/generator.safetensors").symlink_to(model)
    trained = Colorizer.load(device="cpu")(GRAY)
    assert np.array_equal(trained, Colorizer.load(model, "cpu")(GRAY))
    assert not np.array_equal(trained, shipped)
    assert np.array_equal(Colorizer.load(Path("pretrained"), "cpu")(GRAY), shipped)


def test_what_is_no_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="no model at"):
        Colorizer.load(tmp_path / "none.safetensors")
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"PK\x03\x04 not ours")
    with pytest.raises(ColorpipeError, match="not a file of colorpipe's weights"):
        Colorizer.load(path)


def test_the_prediction_is_the_recipes_own(model: Path) -> None:
    small = shrink(GRAY, (128, 128))
    ours = TorchPredictor.load(model, "cpu").predict(small[None])[0]
    plain = load_generator(model)
    with torch.inference_mode():
        luma = torch.from_numpy(small)[None, None].float() / 255
        theirs = plain.recipe.predict_ab(plain.module, luma)[0].permute(1, 2, 0).numpy()
    # bfloat16, where the processor has it, keeps 8 bits.
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max() + 0.05


def test_folding_batch_norm_changes_nothing_but_the_layers() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Conv2d(8, 4, 3),
        nn.BatchNorm2d(4),
    )
    network(torch.rand(8, 1, 16, 16))
    network.eval()
    picture = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        before = network(picture)
        fold_batch_norm(network)
        assert torch.allclose(network(picture), before, atol=1e-5)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
