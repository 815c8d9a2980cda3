"""The page itself: what it shows, and what each click leads to.

It knows Gradio and the workshop, and nothing of networks and files. Uploads are taken by
:func:`upload` alone, which passes a path on: Gradio's components for images would decode them
here, and would download what a client names by its address.
"""

from __future__ import annotations

import functools
import html
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from pipeline.app.workshop import Desk, Look, Workshop
from pipeline.errors import ColorpipeError
from pipeline.imaging import color
from pipeline.imaging.kinds import SUFFIXES
from pipeline.inference.hints import Hint, as_json, hints_of
from pipeline.inference.palette import likely_colors
from pipeline.models.pretrained import model_card

HERE = Path(__file__).parent
KEPT_SECONDS = 3600
"""How long a session's files are kept after the browser has gone, at most."""
SWATCHES = 12
"""Colors that are offered for a place, at most."""
SIZES = ["auto", "128", "192", "256", "384", "512"]

Update = Any
"""What Gradio's functions for changing components return."""


def upload(**arguments: Any) -> gr.File:
    """Return a place to bring files to, never addresses of some.

    Its methods are replaced one by one: of a subclass Gradio would write a stub beside this file.
    """
    component = gr.File(**arguments)
    move, move_async = (
        component.move_resource_to_block_cache,
        component.async_move_resource_to_block_cache,
    )

    async def moved(given: str | Path | None) -> str | None:
        return await move_async(_no_address(given))

    vars(component).update(
        move_resource_to_block_cache=lambda given: move(_no_address(given)),
        async_move_resource_to_block_cache=moved,
    )
    return component


def _no_address(given: str | Path | None) -> str | Path | None:
    if "://" in str(given):
        raise gr.Error("This page takes files, no addresses.")
    return given


def build(workshop: Workshop) -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(
        title="colorpipe", analytics_enabled=False, delete_cache=(600, KEPT_SECONDS)
    ) as page:
        gr.Markdown(
            "# colorpipe\nColor black-and-white photos. What you bring stays on the computer that"
            " serves this page; colors are a plausible guess until you say what they were."
        )
        with gr.Tabs():
            with gr.Tab("One photo"):
                _one_photo(workshop)
            with gr.Tab("Many files"):
                _many_files(workshop)
            with gr.Tab("Model"):
                gr.Markdown(model_card())
    return cast(gr.Blocks, page)


def _settings(workshop: Workshop) -> tuple[gr.Slider, gr.Dropdown, gr.Dropdown]:
    strength = gr.Slider(0, 1.5, 1.0, step=0.05, label="Strength", info="0 is gray, 1 as predicted")
    with gr.Row():
        size = gr.Dropdown(SIZES, value=SIZES[0], label="Size in pixels", min_width=120)
        names = list(workshop.models)
        model = gr.Dropdown(names, value=names[0], label="Model", min_width=120)
    return strength, size, model


def _look(strength: float, size: str, model: str) -> Look:
    return Look(model, float(strength), None if size == SIZES[0] else int(size))


def _one_photo(workshop: Workshop) -> None:  # noqa: PLR0915 - one tab, from top to bottom
    desk = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=_forget)
    photo = upload(
        label="Your photo: drop, paste or choose it",
        file_types=sorted(SUFFIXES),
        height=120,
        elem_id="photo",
    )
    with gr.Row(elem_id="work"):
        with gr.Column(scale=1, min_width=300):
            strength, size, model = _settings(workshop)
            with gr.Accordion("Colors from another photo", open=False):
                reference = upload(
                    label="A color photo that shows the like",
                    file_types=sorted(SUFFIXES),
                    height=140,
                    elem_id="reference",
                )
            with gr.Accordion("Colors that you know", open=True):
                said = gr.Markdown("Bring a photo, then click a place in it.", elem_id="said")
                style = gr.HTML(_swatches([]), padding=False)
                with gr.Row(elem_id="swatches"):
                    swatches = [
                        gr.Button(f"Color {number + 1}", elem_id=f"swatch-{number}", min_width=44)
                        for number in range(SWATCHES)
                    ]
                any_color = gr.ColorPicker(label="Any other color", value="#3a6b35")
                use = gr.Button("Use this color", size="sm", elem_id="use")
                listed = gr.Dropdown([], label="Colors so far", interactive=True, elem_id="listed")
                with gr.Row():
                    move = gr.Button("Move to the place", size="sm", min_width=90)
                    remove = gr.Button("Remove", size="sm", min_width=90)
                with gr.Row():
                    undo = gr.Button("Undo", size="sm", min_width=90, elem_id="undo")
                    reset = gr.Button("Remove all", size="sm", min_width=90)
                with gr.Row():
                    save = gr.DownloadButton("Save colors", size="sm", min_width=90)
                    load = gr.UploadButton(
                        "Load colors", size="sm", min_width=90, file_types=[".json"], type="binary"
                    )
        with gr.Column(scale=2, min_width=300):
            with gr.Tabs():
                with gr.Tab("Before and after"):
                    slider = gr.ImageSlider(
                        label="Before and after",
                        show_label=False,
                        interactive=False,
                        buttons=["fullscreen"],
                        max_height=640,
                        elem_id="slider",
                    )
                with gr.Tab("Click a place", elem_id="clicking"):
                    canvas = gr.Image(
                        label="Click a place whose color you know",
                        interactive=False,
                        format="png",
                        buttons=[],
                        height=640,
                        elem_id="canvas",
                    )
            download = gr.DownloadButton(
                "Download at full size", variant="primary", interactive=False, elem_id="download"
            )

    look = [strength, size, model]
    shown = [desk, slider, canvas, said, style, listed, save]
    nothing: list[Update] = [
        *(None, None, None, "", _swatches([])),
        gr.update(choices=[], value=None),
        None,
    ]

    def show(own: Desk, message: str = "") -> list[Update]:
        chosen_one = len(own.hints) - 1 if own.hints else None
        return [
            own,
            (np.dstack([own.gray] * 3), own.rgb),
            _marked(own),
            message or "Click a place in the photo, under “Click a place”.",
            _swatches(own.offered),
            gr.Dropdown([(_named(hint), n) for n, hint in enumerate(own.hints)], value=chosen_one),
            _saved(own),
        ]

    def opened(path: str | None, old: Desk | None, *rest: Any) -> list[Update]:
        _forget(old)
        if path is None:
            return [*nothing, _no_download()]
        *chosen_look, other = rest
        reference = None if other is None else Path(other)
        own = _checked(workshop.open, Path(path), _look(*chosen_look), reference)
        return [*show(own, own.note), _download(own)]

    def recolored(
        own: Desk, strength: float, size: str, model: str, other: str | None
    ) -> list[Update]:
        chosen_look = _look(strength, size, model)
        known = None if other is None else _checked(workshop.reference, Path(other), chosen_look)
        _checked(workshop.preview, own, chosen_look, known)
        return show(own, _how_near(own))

    def finished(
        own: Desk | None, strength: float, size: str, model: str, other: str | None
    ) -> Update:
        if own is None:
            return _no_download()
        reference = None if other is None else Path(other)
        _checked(workshop.finish, own, _look(strength, size, model), reference)
        return _download(own)

    def settings_changed(own: Desk | None, *rest: Any) -> list[Update]:
        return nothing if own is None else recolored(own, *rest)

    def clicked(own: Desk | None, event: gr.SelectData) -> list[Update]:
        if own is None:
            return nothing
        x, y = event.index
        own.place = own.in_photo(x, y)
        own.offered = likely_colors(own.rgb, *own.in_preview(*own.place))[:SWATCHES]
        return show(own, f"Choose the color of {_at(own.place)}:")

    def taken(number: int, own: Desk | None, *rest: Any) -> list[Update]:
        own = _with_place(own)
        return hinted(own, own.offered[number][1], *rest)

    def hinted(own: Desk | None, picked: str, *rest: Any) -> list[Update]:
        own = _with_place(own)
        x, y = own.place or (0, 0)
        own.change([*own.hints, Hint(x, y, _hex(picked))])
        return recolored(own, *rest)

    def moved(own: Desk | None, number: int | None, *rest: Any) -> list[Update]:
        own = _with_place(own)
        hint = _chosen(own, number)
        x, y = own.place or (0, 0)
        others = [each for each in own.hints if each is not hint]
        own.change([*others, Hint(x, y, hint.color, hint.radius)])
        return recolored(own, *rest)

    def removed(own: Desk | None, number: int | None, *rest: Any) -> list[Update]:
        own = _with_photo(own)
        hint = _chosen(own, number)
        own.change([each for each in own.hints if each is not hint])
        return recolored(own, *rest)

    def undone(own: Desk | None, *rest: Any) -> list[Update]:
        own = _with_photo(own)
        own.undo()
        return recolored(own, *rest)

    def cleared(own: Desk | None, *rest: Any) -> list[Update]:
        own = _with_photo(own)
        own.change([])
        return recolored(own, *rest)

    def loaded(own: Desk | None, data: bytes, *rest: Any) -> list[Update]:
        own = _with_photo(own)
        hints = _checked(hints_of, data, "The file")
        if any(hint.x >= own.shape[1] or hint.y >= own.shape[0] for hint in hints):
            raise gr.Error("These colors belong to a larger photo.")
        own.change(hints)
        return recolored(own, *rest)

    inputs = [*look, reference]
    gr.on(
        [photo.upload, photo.clear],
        opened,
        [photo, desk, *inputs],
        [*shown, download],
        concurrency_id="files",
    )
    canvas.select(clicked, [desk], shown, show_progress="hidden")
    changes = [
        *(
            swatch.click(
                functools.partial(taken, number), [desk, *inputs], shown, show_progress="hidden"
            )
            for number, swatch in enumerate(swatches)
        ),
        use.click(hinted, [desk, any_color, *inputs], shown, show_progress="hidden"),
        move.click(moved, [desk, listed, *inputs], shown, show_progress="hidden"),
        remove.click(removed, [desk, listed, *inputs], shown, show_progress="hidden"),
        undo.click(undone, [desk, *inputs], shown, show_progress="hidden"),
        reset.click(cleared, [desk, *inputs], shown, show_progress="hidden"),
        load.upload(loaded, [desk, load, *inputs], shown, show_progress="hidden"),
        strength.release(settings_changed, [desk, *inputs], shown, show_progress="hidden"),
        size.input(settings_changed, [desk, *inputs], shown),
        model.input(settings_changed, [desk, *inputs], shown),
    ]
    for change in changes:
        change.then(_no_download, None, download, show_progress="hidden").success(
            finished, [desk, *inputs], download, concurrency_id="files", show_progress="hidden"
        )
    # The file first: by that the process that may crash has seen the reference.
    gr.on(
        [reference.upload, reference.clear],
        finished,
        [desk, *inputs],
        download,
        concurrency_id="files",
    ).success(settings_changed, [desk, *inputs], shown)


def _many_files(workshop: Workshop) -> None:
    gr.Markdown("Photos come back under their names, in a zip file.")
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photos = upload(
                label="Your photos: drop or choose them",
                file_count="multiple",
                height=200,
                elem_id="photos",
            )
            strength, size, model = _settings(workshop)
            start = gr.Button("Color them", variant="primary", elem_id="start")
        with gr.Column(scale=2, min_width=300):
            report = gr.Markdown("", elem_id="report", min_height=60)
            archive = gr.DownloadButton(
                "Download the zip file", interactive=False, elem_id="archive"
            )

    def colored(
        paths: list[str] | None, strength: float, size: str, model: str, progress: Any
    ) -> Iterator[tuple[str, Update]]:
        if not paths:
            raise gr.Error("Bring some photos first.")
        lines: list[str] = []
        done = 0
        results = workshop.many([Path(path) for path in paths], _look(strength, size, model))
        try:
            for result in results:
                if isinstance(result, Path):
                    yield _told(done, len(paths), lines), _file(result)
                    continue
                done, outcome = result
                progress((done, len(paths)), unit="photos")
                said = outcome.reason or outcome.note
                if said:
                    lines.append(f"- **{html.escape(outcome.name)}**: {html.escape(said)}")
                yield _told(done, len(paths), lines), gr.DownloadButton(interactive=False)
        except ColorpipeError as error:
            raise gr.Error(str(error)) from error

    def run(
        paths: list[str] | None,
        strength: float,
        size: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio finds it by its default
    ) -> Iterator[tuple[str, Update]]:
        yield from colored(paths, strength, size, model, progress)

    start.click(run, [photos, strength, size, model], [report, archive], concurrency_id="files")


def _told(done: int, count: int, lines: Sequence[str]) -> str:
    return "\n".join([f"{done} of {count} files are done.", "", *lines])


def _checked(function: Any, *arguments: Any) -> Any:
    """Call ``function``; what goes wrong is said on the page."""
    try:
        return function(*arguments)
    except (ColorpipeError, ValueError) as error:
        raise gr.Error(str(error)) from error


def _with_photo(own: Desk | None) -> Desk:
    if own is None:
        raise gr.Error("Bring a photo first.")
    return own


def _with_place(own: Desk | None) -> Desk:
    own = _with_photo(own)
    if own.place is None:
        raise gr.Error("Click a place in the photo first.")
    return own


def _chosen(own: Desk, number: int | None) -> Hint:
    if number is None or not 0 <= number < len(own.hints):
        raise gr.Error("Choose one of the colors so far first.")
    return own.hints[number]


def _hex(picked: str) -> str:
    """Return what a swatch or Gradio's color picker gave, as ``#rrggbb``."""
    text = picked
    if text.startswith("rgb"):
        # With decimals and opacity, as CSS has them.
        red, green, blue = (round(float(n)) for n in re.findall(r"[\d.]+", text)[:3])
        text = f"rgb({red},{green},{blue})"
    hint: Hint = _checked(Hint, 0, 0, text)
    return f"#{bytes(hint.rgb()).hex()}"


def _at(place: tuple[float, float]) -> str:
    return f"{place[0]:.0f}, {place[1]:.0f}"


def _named(hint: Hint) -> str:
    return f"{hint.color} at {_at((hint.x, hint.y))}"


def _how_near(own: Desk) -> str:
    """Say where the tone does not allow the color of the last hint."""
    if not own.hints:
        return ""
    hint = own.hints[-1]
    column, row = own.in_preview(hint.x, hint.y)
    reached = own.rgb[row : row + 1, column : column + 1]
    found = color.rgb_to_lab(np.ascontiguousarray(reached))[0, 0, 1:]
    wanted = hint.ab()
    if float(np.linalg.norm(found - wanted)) < 0.1 * float(np.linalg.norm(wanted)) + 4:
        return ""
    nearest = f"#{bytes(reached[0, 0]).hex()}"
    return f"A place of this tone cannot be {hint.color}: {nearest} is the nearest possible."


def _swatches(colors: Sequence[tuple[str, str]]) -> str:
    """Return the style that gives the swatches their colors, and hides those without one."""
    rules = [f"#swatch-{n} {{ background: {each}; }}" for n, (_, each) in enumerate(colors)]
    rules += [f"#swatch-{n} {{ display: none; }}" for n in range(len(colors), SWATCHES)]
    return f"<style>{' '.join(rules)}</style>"


def _marked(own: Desk) -> NDArray[np.uint8]:
    """Return the preview with a ring at each hint and at the place that was clicked."""
    picture = np.ascontiguousarray(own.rgb.copy())
    radius = max(max(picture.shape) // 90, 4)
    for hint in own.hints:
        _ring(picture, own.in_preview(hint.x, hint.y), radius, hint.rgb())
    if own.place is not None:
        _ring(picture, own.in_preview(*own.place), radius, None)
    return picture


def _ring(
    picture: NDArray[np.uint8],
    place: tuple[int, int],
    radius: int,
    fill: tuple[int, int, int] | None,
) -> None:
    # Around the place, which stays to be seen.
    if fill is not None:
        cv2.circle(picture, place, radius, fill, 3, cv2.LINE_AA)
    cv2.circle(picture, place, radius + 2, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.circle(picture, place, radius + 3, (0, 0, 0), 1, cv2.LINE_AA)


def _saved(own: Desk) -> str:
    path = own.folder / f"{own.name}.hints.json"
    path.write_text(as_json(own.hints), encoding="utf-8")
    return str(path)


def _file(path: Path) -> Update:
    return gr.DownloadButton(value=str(path), interactive=True)


def _download(own: Desk) -> Update:
    return _file(own.result)


def _no_download() -> Update:
    return gr.DownloadButton(interactive=False)


def _forget(own: Desk | None) -> None:
    if own is not None:
        shutil.rmtree(own.folder, ignore_errors=True)
