"""The page: where everything stands, and which action each control starts.

Uploads are taken by :func:`upload`, which passes a path on: Gradio's components for images would
decode them here. What takes files would download what a client names by its address, were it not
for :func:`files_only`.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr

from pipeline.app.actions import (
    NOT_BEGUN,
    SIZES,
    SWATCHES,
    OnePhoto,
    Step,
    Update,
    colored_files,
    colored_film,
    forget,
    forget_folder,
    long_report,
    no_download,
    refusal,
    swatches_style,
)
from pipeline.app.workshop import Workshop
from pipeline.errors import ColorpipeError
from pipeline.imaging.kinds import SUFFIXES
from pipeline.models.pretrained import model_card
from pipeline.video.kinds import WRITTEN_AS
from pipeline.video.settings import STEADY

C = TypeVar("C", bound=gr.components.Component)
HERE = Path(__file__).parent
KEPT_SECONDS = 7 * 24 * 3600
"""How long uploads and results are kept at most, also while a browser stays open: a film may take a
night. Gradio drops a session's own state an hour after its browser has gone."""


def upload(**arguments: Any) -> gr.File:
    """Return a place to bring files to."""
    return files_only(gr.File(**arguments))


def files_only(component: C) -> C:
    """Let a component take files, never addresses of some.

    Its methods are replaced one by one: of a subclass Gradio would write a stub beside this file.
    """
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
        raise refusal("This page takes files, no addresses.")
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
            with gr.Tab("Photo"):
                _one_photo(workshop)
            with gr.Tab("Many files"):
                _many_files(workshop)
            with gr.Tab("Film"):
                _film(workshop)
            with gr.Tab("Model"):
                # Its links to other files lead nowhere here.
                card = re.sub(r"\[([^]]+)]\((?!https?:)[^)]+\)", r"\1", model_card())
                gr.Markdown(card, elem_id="card")
    return cast(gr.Blocks, page)


def _settings(workshop: Workshop) -> tuple[gr.Slider, gr.Dropdown, gr.Dropdown]:
    strength = gr.Slider(0, 1.5, 1.0, step=0.05, label="Strength", info="0 is gray, 1 as predicted")
    with gr.Row():
        size = gr.Dropdown(SIZES, value=SIZES[0], label="Working size, px", min_width=120)
        names = list(workshop.models)
        model = gr.Dropdown(names, value=names[0], label="Model", min_width=120)
    return strength, size, model


def _one_photo(workshop: Workshop) -> None:
    desk = gr.State(None, delete_callback=forget)
    photo = upload(
        label="Your photo: drop, paste or choose it",
        file_types=sorted(SUFFIXES),
        height=150,
        elem_id="photo",
    )
    note = gr.HTML(elem_id="note", padding=False)
    with gr.Row(elem_id="work"):
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
                with gr.Tab("Choose colors", elem_id="clicking"):
                    said = gr.Markdown("Bring a photo, then click a place in it.", elem_id="said")
                    style = gr.HTML(swatches_style([]), elem_id="swatches-style")
                    with gr.Row(elem_id="swatches"):
                        swatches = [
                            gr.Button(
                                f"Color {number + 1}", elem_id=f"swatch-{number}", min_width=44
                            )
                            for number in range(SWATCHES)
                        ]
                    canvas = gr.Image(
                        label="Click a place whose color you know",
                        show_label=False,
                        alt_text="The photo as it is colored, with a ring at each color you gave",
                        interactive=False,
                        format="png",
                        buttons=[],
                        elem_id="canvas",
                    )
                    with gr.Row(equal_height=True):
                        any_color = gr.ColorPicker(
                            label="Any other color", value="#3a6b35", min_width=120
                        )
                        use = gr.Button("Use this color", min_width=120, elem_id="use")
            download = gr.DownloadButton(
                "Download at full size", variant="primary", interactive=False, elem_id="download"
            )
        with gr.Column(scale=1, min_width=300):
            strength, size, model = _settings(workshop)
            with gr.Accordion("Colors from another photo", open=False):
                reference = upload(
                    label="A color photo that shows the like",
                    file_types=sorted(SUFFIXES),
                    height=140,
                    elem_id="reference",
                )
            with gr.Accordion("Colors so far", open=True):
                listed = gr.Dropdown(
                    [], label="Color and place", interactive=True, elem_id="listed"
                )
                with gr.Row():
                    move = gr.Button("Move to the place", size="sm", min_width=90, elem_id="move")
                    remove = gr.Button("Remove", size="sm", min_width=90, elem_id="remove")
                with gr.Row():
                    undo = gr.Button("Undo", size="sm", min_width=90, elem_id="undo")
                    reset = gr.Button("Remove all", size="sm", min_width=90)
                with gr.Row():
                    save = gr.DownloadButton("Save colors", size="sm", min_width=90)
                    load = files_only(
                        gr.UploadButton(
                            "Load colors",
                            size="sm",
                            min_width=90,
                            file_types=[".json"],
                            type="binary",
                            elem_id="load",
                        )
                    )

    shown = [desk, slider, canvas, said, style, listed, save]
    result = [download, note]
    settings = [strength, size, model, reference]
    does = OnePhoto(workshop)
    gr.on(
        [photo.upload, photo.clear],
        does.opened,
        [photo, desk, *settings],
        [*shown, *result],
        concurrency_id="files",
        trigger_mode="always_last",
    ).failure(does.still_there, desk, photo, show_progress="hidden")
    gr.on(
        [reference.upload, reference.clear],
        does.referred,
        [desk, *settings],
        [*shown, *result],
        concurrency_id="files",
        trigger_mode="always_last",
    )
    canvas.select(does.clicked, [desk], shown, show_progress="hidden", trigger_mode="multiple")

    def changes(
        event: Callable[..., gr.events.Dependency],
        action: Callable[..., list[Update]],
        *inputs: gr.components.Component,
        show_progress: str = "hidden",
        trigger_mode: str = "once",
    ) -> None:
        event(
            action,
            [desk, *inputs, *settings],
            [*shown, download],
            show_progress=show_progress,
            trigger_mode=trigger_mode,
        ).success(
            does.finished,
            [desk, *settings],
            result,
            concurrency_id="files",
            trigger_mode="always_last",
            show_progress="hidden",
        )

    for number, swatch in enumerate(swatches):
        changes(swatch.click, functools.partial(does.taken, number), trigger_mode="multiple")
    changes(use.click, does.hinted, any_color, trigger_mode="multiple")
    changes(undo.click, does.undone, trigger_mode="multiple")
    changes(move.click, does.moved, listed)
    changes(remove.click, does.removed, listed)
    changes(reset.click, does.cleared)
    changes(load.upload, does.loaded, load)
    # The last of several that come while the photo is being colored counts.
    for event, progress in (
        (strength.release, "hidden"),
        (size.input, "full"),
        (model.input, "full"),
    ):
        changes(event, does.settings_changed, show_progress=progress, trigger_mode="always_last")


def _many_files(workshop: Workshop) -> None:
    kept = gr.State(None, delete_callback=forget_folder)
    gr.Markdown(
        "Photos come back under their names, in a zip file. Keep this page open until it is done."
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photos = upload(
                label="Your photos: drop or choose them",
                file_count="multiple",
                height=200,
                elem_id="photos",
            )
            look = _settings(workshop)
            start, cancel = _start_and_cancel("Color them", "many")
        with gr.Column(scale=2, min_width=300):
            report = gr.HTML(NOT_BEGUN, elem_id="report", min_height=80)
            archive = gr.DownloadButton(
                "Download the zip file", interactive=False, elem_id="archive"
            )

    def run(paths: list[str] | None, old: Path | None, *look: Any) -> Generator[Step, None, None]:
        yield from colored_files(workshop, paths, old, *look)

    _run_until_cancelled(run, [photos, kept, *look], start, cancel, [report, archive, kept])


def _film(workshop: Workshop) -> None:
    kept = gr.State(None, delete_callback=forget_folder)
    gr.Markdown(
        "Size, sound and subtitles stay as they are. A minute of film takes several; keep this page"
        " open until it is done. A long film is better colored by `colorpipe colorize`, which goes"
        " on after an interruption."
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            film = upload(
                label="Your film: drop or choose it",
                file_types=sorted(WRITTEN_AS),
                height=160,
                elem_id="film",
            )
            look = _settings(workshop)
            steady = gr.Slider(
                0, 1, STEADY, step=0.05, label="Steadiness", info="0 colors each picture by itself"
            )
            start, cancel = _start_and_cancel("Color it", "film")
        with gr.Column(scale=2, min_width=300):
            report = gr.HTML(NOT_BEGUN, elem_id="film-report", min_height=80)
            colored = gr.DownloadButton(
                "Download the film", interactive=False, elem_id="colored-film"
            )

    def run(
        path: str | None, steady: float, old: Path | None, *look: Any
    ) -> Generator[Step, None, None]:
        yield from colored_film(workshop, path, steady, old, *look)

    _run_until_cancelled(run, [film, steady, kept, *look], start, cancel, [report, colored, kept])


def _start_and_cancel(words: str, name: str) -> tuple[gr.Button, gr.Button]:
    with gr.Row():
        start = gr.Button(words, variant="primary", min_width=120, elem_id=f"{name}-start")
        cancel = gr.Button("Cancel", interactive=False, min_width=90, elem_id=f"{name}-cancel")
    return start, cancel


@dataclass
class _Asked:
    """What somebody's buttons have asked for: runs, numbered from 1, which come one by one."""

    last: int = 0
    """The run that was started last."""
    current: int = 0
    """The run whose turn has come; those before have ended."""
    cancelled: int = 0
    """The last run that is not wanted any more; nor are those before."""


def _run_until_cancelled(
    run: Callable[..., Generator[Step, None, None]],
    inputs: Sequence[gr.Component],
    start: gr.Button,
    cancel: gr.Button,
    shown: Sequence[gr.Component],
) -> None:
    """Start long work by one button and end it by the other; one at a time for all people."""
    buttons = [start, cancel]
    asked = gr.State(_Asked())

    def begin(asked: _Asked) -> list[Update]:
        asked.last += 1
        return _may_start(False)

    def steps(asked: _Asked, *chosen: Any) -> Iterator[list[Update]]:
        asked.current += 1
        number = asked.current
        if number <= asked.cancelled:  # while it waited
            yield [gr.skip() for _ in (*shown, *buttons)]
            return
        try:
            with contextlib.closing(run(*chosen)) as work:
                for step in work:
                    if number <= asked.cancelled:
                        break
                    yield [*step, gr.skip(), gr.skip()]
        except (ColorpipeError, OSError) as error:
            yield [long_report(str(error)), no_download(), None, *_may_start(True)]
            return
        if number <= asked.cancelled:
            yield [long_report(_CANCELLED), no_download(), None, *_may_start(True)]
        else:
            yield [gr.skip() for _ in shown] + _may_start(True)

    def stop(asked: _Asked) -> list[Update]:
        asked.cancelled = asked.last
        if asked.current < asked.last:  # it waits behind somebody else's, maybe for hours
            return [long_report(_CANCELLED), *_may_start(True)]
        return [gr.skip(), gr.skip(), gr.Button(interactive=False)]

    def refused(asked: _Asked) -> list[Update]:
        asked.current = asked.last
        return _may_start(True)

    started = start.click(begin, asked, buttons, queue=False, show_progress="hidden").then(
        steps,
        [asked, *inputs],
        [*shown, *buttons],
        concurrency_id="long",
        concurrency_limit=1,
        trigger_mode="multiple",  # what was cancelled while it waited is still in the queue
        show_progress="minimal",
        show_progress_on=shown[0],
    )
    # Where too many wait, for one.
    started.failure(refused, asked, buttons, queue=False, show_progress="hidden")
    cancel.click(stop, asked, [shown[0], *buttons], queue=False, show_progress="hidden")


_CANCELLED = "Cancelled."


def _may_start(may: bool) -> list[Update]:
    return [gr.Button(interactive=may), gr.Button(interactive=not may)]
