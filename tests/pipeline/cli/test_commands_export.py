"""The command `export`: which files it writes, and what it says about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.models.pretrained import pretrained_weights

DONE, NOTHING_DONE = 0, 2

Run = Callable[..., int]


def test_an_export_names_its_format_and_goes_beside_the_model(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[Path, ...]] = []
    monkeypatch.setattr("pipeline.models.export.export_onnx", lambda *files: calls.append(files))
    for formats in ([], ["--onnx", "--half"]):
        assert run("export", *formats) == NOTHING_DONE
        assert "give either --onnx or --half" in capsys.readouterr().err
    assert run("export", "--onnx", "--model", "models/a.safetensors") == DONE
    # Outside a project they are the pretrained weights; their export stays out of the package.
    assert run("export", "--onnx") == DONE
    Path("models").mkdir()
    Path("models/generator.safetensors").write_bytes(b"trained")
    capsys.readouterr()
    assert run("export", "--onnx", "--out", "b.onnx") == DONE
    assert "b.onnx; `colorpipe colorize --model b.onnx` uses it" in capsys.readouterr().out
    assert calls == [
        (Path("models/a.safetensors"), Path("models/a.onnx")),
        (pretrained_weights(), Path("models/colorpipe.onnx")),
        (Path("models/generator.safetensors"), Path("b.onnx")),
    ]


def test_weights_are_halved_into_the_file_that_is_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    import stand_ins

    from pipeline.models.weights import load_generator

    Path("models").mkdir()
    trained = stand_ins.generator(Path("models/generator.safetensors"))
    assert run("export", "--half") == NOTHING_DONE
    assert "--half needs --out" in capsys.readouterr().err
    assert run("export", "--half", "--out", "shared/halved.safetensors") == DONE
    halved = Path("shared/halved.safetensors")
    assert halved.stat().st_size < 0.51 * trained.stat().st_size
    assert load_generator(halved).header == load_generator(trained).header


def test_an_export_is_not_written_over_what_is_no_export(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("photo.jpg").write_bytes(b"a photo")
    Path("folder").mkdir()
    for kind, suffix in (("--half", ".safetensors"), ("--onnx", ".onnx")):
        assert run("export", kind, "--out", "photo.jpg") == NOTHING_DONE
        said = f"colorpipe: This export's file ends in {suffix}, which photo.jpg does not.\n"
        assert capsys.readouterr().err == said
        assert run("export", kind, "--out", "folder") == NOTHING_DONE
        said = "colorpipe: folder is a folder; name the file to write, such as"
        assert said in capsys.readouterr().err
    assert Path("photo.jpg").read_bytes() == b"a photo"
