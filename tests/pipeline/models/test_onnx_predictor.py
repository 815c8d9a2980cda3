"""The exported network; the set-up installs the extra ``onnx`` that this needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import stand_ins
import torch
from PIL import Image

from pipeline.errors import ColorpipeError
from pipeline.inference.colorizer import Colorizer
from pipeline.models import torch_predictor
from pipeline.models.export import export_onnx
from pipeline.models.onnx_predictor import OnnxPredictor
from pipeline.models.pretrained import pretrained_weights
from pipeline.models.torch_predictor import TorchPredictor
from pipeline.params import DeviceName

GRAY = skimage.data.camera()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network: the exporter takes as long as a network has layers."""
    path = tmp_path_factory.mktemp("model") / "generator.safetensors"
    stand_ins.generator(path, recipe_name="heartbeat")
    export_onnx(path, path.with_suffix(".onnx"))
    return path


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pretrained weights, exported."""
    path = tmp_path_factory.mktemp("pretrained") / "colorpipe.onnx"
    export_onnx(pretrained_weights(), path)
    return path


def test_results_are_within_a_level_of_torchs(model: Path) -> None:
    onnx = Colorizer.load(model, runtime="onnx", strength=1.5)
    torch = Colorizer.load(model, "cpu", strength=1.5)
    for picture in (GRAY, GRAY[:200], GRAY[:, :150]):
        difference = np.abs(onnx(picture).astype(int) - torch(picture))
        assert difference.max() <= 1


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch in the precision of the file; on some processors it would take bfloat16."""
    monkeypatch.setattr(torch_predictor, "choose_dtype", lambda device: torch.float32)


@pytest.mark.usefixtures("float32")
def test_pictures_and_hints_of_any_number_and_size_give_what_they_give_in_torch(
    pretrained: Path,
) -> None:
    onnx = OnnxPredictor(pretrained)
    reference = TorchPredictor.load(pretrained_weights(), "cpu")
    assert onnx.takes_hints
    for shape in ((1, 96, 128), (3, 160, 64)):
        random = np.random.default_rng(0)
        grays = random.integers(0, 256, shape, np.uint8)
        count, height, width = shape
        hints = random.random((count, height // 2, width // 2, 3), np.float32) * (60, 60, 1)
        hints = np.where(random.random(hints.shape[:3])[..., None] < 0.1, hints, 0)
        known = [hints.astype(np.float32), np.zeros(hints.shape, np.float32)]
        plain, hinted, by_none = onnx.predict_by_hints(grays, known)
        assert np.array_equal(plain, onnx.predict(grays))
        for ours, theirs in zip(
            (plain, hinted, by_none), reference.predict_by_hints(grays, known), strict=True
        ):
            assert np.allclose(ours, theirs, atol=0.01)
        assert np.abs(hinted - plain).mean() > 1
        assert np.allclose(onnx.describe(grays), reference.describe(grays), atol=1e-3)


@pytest.mark.usefixtures("float32")
def test_a_reference_gives_its_colors_as_in_torch(pretrained: Path) -> None:
    onnx, reference = Colorizer.load(pretrained), Colorizer.load(pretrained_weights(), "cpu")
    gray = skimage.data.astronaut().mean(2).astype(np.uint8)
    results = [each(gray, reference=skimage.data.astronaut()) for each in (onnx, reference)]
    assert np.abs(results[0].astype(int) - results[1]).max() <= 1
    assert np.abs(results[0].astype(int) - onnx(gray)).mean() > 1


def test_a_model_without_hints_says_so(model: Path) -> None:
    onnx = OnnxPredictor(model.with_suffix(".onnx"))
    gray = np.zeros((1, 64, 64), np.uint8)
    with pytest.raises(ValueError, match="takes no hints"):
        onnx.predict_by_hints(gray, [np.zeros((1, 32, 32, 3), np.float32)])
    with pytest.raises(ValueError, match="no encoder that describes"):
        onnx.describe(gray)


def test_torch_is_not_imported(model: Path, tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    script = (
        "import sys; from pathlib import Path; from stages.colorize import colorize;"
        "from pipeline.params import ColorizeParams;"
        f"failures = colorize(Path({str(tmp_path / 'a.png')!r}), Path({str(tmp_path / 'out')!r}),"
        f" Path({str(model)!r}), ColorizeParams(runtime='onnx'));"
        "assert failures == [], failures;"
        "assert 'torch' not in sys.modules"
    )
    project = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=project, env=dict(os.environ))
    assert (tmp_path / "out" / "a.png").exists()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_it_does_not_compute_on_is_refused(model: Path, device: DeviceName) -> None:
    for path, runtime in ((model, "onnx"), (model.with_suffix(".onnx"), "auto")):
        with pytest.raises(ColorpipeError, match=f"on the CPU, not on the device '{device}'; use"):
            Colorizer.load(path, device, runtime=runtime)
    Colorizer.load(model, "cpu", runtime="onnx")


def test_threads_may_share_it(model: Path) -> None:
    colorizer = Colorizer.load(model.with_suffix(".onnx"))
    expected = colorizer(GRAY)
    with colorizer.predictor.in_threads(1), ThreadPoolExecutor(4) as pool:
        for result in pool.map(colorizer, [GRAY] * 8):
            assert np.abs(result.astype(int) - expected).max() <= 1


def test_an_export_never_leaves_half_a_file(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match="no model at"):
        export_onnx(tmp_path / "none.safetensors", tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


def test_an_export_of_other_weights_is_refused(model: Path, tmp_path: Path) -> None:
    import onnx

    network = tmp_path / "generator.onnx"
    network.write_bytes(model.with_suffix(".onnx").read_bytes())
    Colorizer.load(network)  # alone, it is all there is
    retrained = stand_ins.generator(tmp_path / "generator.safetensors", 1, "heartbeat")
    for path, runtime in ((retrained, "onnx"), (network, "auto")):
        with pytest.raises(ColorpipeError, match=r"not exported from .*; export it again with"):
            Colorizer.load(path, runtime=runtime)
    older = onnx.load(network)
    del older.metadata_props[:]
    header = json.dumps({"recipe": "heartbeat", "size": 128, "multiple": 32})
    onnx.helper.set_model_props(older, {"colorpipe": header})
    onnx.save(older, network)
    Colorizer.load(network)  # written before digests were


def test_an_export_of_earlier_pretrained_weights_is_refused(
    model: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    network = Path("models/colorpipe.onnx")
    network.write_bytes(model.with_suffix(".onnx").read_bytes())
    with pytest.raises(ColorpipeError, match=r"not exported from .*; export it again with"):
        Colorizer.load(Path("pretrained"), runtime="onnx")
    network.write_bytes(pretrained.read_bytes())
    Colorizer.load(Path("pretrained"), runtime="onnx")


def test_other_files_are_refused_in_a_sentence(model: Path, tmp_path: Path) -> None:
    import onnx

    with pytest.raises(ColorpipeError, match=r"There is no file .* export --onnx"):
        Colorizer.load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not an ONNX file")
    with pytest.raises(ColorpipeError, match="is not an ONNX file"):
        Colorizer.load(tmp_path / "text.onnx")
    other = onnx.load(model.with_suffix(".onnx"))
    del other.metadata_props[:]
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(ColorpipeError, match="not one that `colorpipe export` wrote"):
        Colorizer.load(tmp_path / "other.onnx")


def test_a_file_that_is_not_there_is_not_blamed_on_the_runtime(tmp_path: Path) -> None:
    with pytest.raises(ColorpipeError, match=r"There is no file .*none\.onnx; ") as said:
        OnnxPredictor(tmp_path / "none.onnx")
    assert "--runtime" not in str(said.value)
    assert "--model" in str(said.value)
