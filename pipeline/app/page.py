"""The page: where everything stands, and which action each control starts.

Uploads are taken by
:func:`upload` alone, which passes a path on: Gradio's components for images would decode them
here, and would download what a client names by its address.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gradio as gr

from pipeline.app.actions import (
    SIZES,
    SWATCHES,
    OnePhoto,
    Update,
    colored_files,
    forget,
    no_download,
    swatches_style,
)
from pipeline.app.workshop import Workshop
from pipeline.imaging.kinds import SUFFIXES
from pipeline.models.pretrained import model_card

HERE = Path(__file__).parent
KEPT_SECONDS = 3600
"""How long a session's files are kept after the browser has gone, at most."""


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


def _one_photo(workshop: Workshop) -> None:
    desk = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=forget)
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
                style = gr.HTML(swatches_style([]), padding=False)
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

    shown = [desk, slider, canvas, said, style, listed, save]
    inputs = [strength, size, model, reference]
    does = OnePhoto(workshop)
    gr.on(
        [photo.upload, photo.clear],
        does.opened,
        [photo, desk, *inputs],
        [*shown, download],
        concurrency_id="files",
    )
    canvas.select(does.clicked, [desk], shown, show_progress="hidden")
    changes = [
        *(
            swatch.click(
                functools.partial(does.taken, number),
                [desk, *inputs],
                shown,
                show_progress="hidden",
            )
            for number, swatch in enumerate(swatches)
        ),
        use.click(does.hinted, [desk, any_color, *inputs], shown, show_progress="hidden"),
        move.click(does.moved, [desk, listed, *inputs], shown, show_progress="hidden"),
        remove.click(does.removed, [desk, listed, *inputs], shown, show_progress="hidden"),
        undo.click(does.undone, [desk, *inputs], shown, show_progress="hidden"),
        reset.click(does.cleared, [desk, *inputs], shown, show_progress="hidden"),
        load.upload(does.loaded, [desk, load, *inputs], shown, show_progress="hidden"),
        strength.release(does.settings_changed, [desk, *inputs], shown, show_progress="hidden"),
        size.input(does.settings_changed, [desk, *inputs], shown),
        model.input(does.settings_changed, [desk, *inputs], shown),
    ]
    for change in changes:
        change.then(no_download, None, download, show_progress="hidden").success(
            does.finished, [desk, *inputs], download, concurrency_id="files", show_progress="hidden"
        )
    # The file first: by that the process that may crash has seen the reference.
    gr.on(
        [reference.upload, reference.clear],
        does.finished,
        [desk, *inputs],
        download,
        concurrency_id="files",
    ).success(does.settings_changed, [desk, *inputs], shown)


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

    def run(
        paths: list[str] | None,
        strength: float,
        size: str,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio finds it by its default
    ) -> Iterator[tuple[str, Update]]:
        yield from colored_files(workshop, paths, progress, strength, size, model)

    start.click(run, [photos, strength, size, model], [report, archive], concurrency_id="files")
