"""What each click on the page leads to: from what is chosen there to what it then shows."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.app.workshop import Desk, Look, Workshop, how_near
from pipeline.errors import ColorpipeError
from pipeline.inference.hints import Hint, as_json, hints_of
from pipeline.inference.outcomes import Outcome
from pipeline.inference.palette import likely_colors
from pipeline.video.settings import clock

SWATCHES = 12
"""Colors that are offered for a place, at most."""
CANVAS = 640
"""Pixels up to which the longer side of a small photo is enlarged: places can then be clicked."""
SIZES = ["auto", "128", "192", "256", "384", "512"]

Update = Any
"""What Gradio's functions for changing components return."""


class OnePhoto:
    """The work on one photo.

    Unless something else is said, a method takes the desk, what its control holds, and then
    strength, size, model and the path of the reference. It returns what the page then shows: desk,
    before and after, the picture to click, a sentence, the swatches' style, the colors so far, the
    file that holds them, and the button for the download, which :meth:`finished` gives its file.
    """

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def _show(self, own: Desk, message: str = "", result: Sequence[Update] = ()) -> list[Update]:
        if not own.folder.is_dir():  # it was put away meanwhile
            return [gr.skip() for _ in (*_nothing(), *result)]
        chosen_one = len(own.hints) - 1 if own.hints else None
        return [
            own,
            (np.dstack([own.gray] * 3), own.rgb),
            _marked(own),
            message or _next_step(own),
            swatches_style(own.offered),
            gr.Dropdown([(_named(hint), n) for n, hint in enumerate(own.hints)], value=chosen_one),
            _saved(own),
            *result,
        ]

    def opened(self, path: str | None, old: Desk | None, *rest: Any) -> list[Update]:
        """Take up a photo, or put it away; shows what :meth:`finished` does as well."""
        if path is None:
            forget(old)
            return [*_nothing(), no_download(), ""]
        *chosen_look, other = rest
        reference = None if other is None else Path(other)
        own = _checked(self._workshop.open, Path(path), _look(*chosen_look), reference)
        # Not before: of a photo that is refused, the one before stays on the page.
        forget(old)
        return self._show(own, result=_finished(own))

    def still_there(self, own: Desk | None) -> str | None:
        """Return the photo that the page goes on with where another was refused."""
        return None if own is None else str(own.source)

    def _recolored(
        self, own: Desk, *rest: Any, result: Sequence[Update] | None = None
    ) -> list[Update]:
        *chosen, other = rest
        chosen_look = _look(*chosen)
        known = (
            None if other is None else _checked(self._workshop.reference, Path(other), chosen_look)
        )
        _checked(self._workshop.preview, own, chosen_look, known)
        return self._show(own, how_near(own), [no_download()] if result is None else result)

    def finished(self, own: Desk | None, *rest: Any) -> list[Update]:
        """Color the photo itself; shows the button for the download, and what there is to know."""
        if own is None or not own.folder.is_dir():
            return [no_download(), ""]
        previews = own.previews
        *chosen_look, other = rest
        reference = None if other is None else Path(other)
        _checked(self._workshop.finish, own, _look(*chosen_look), reference)
        if own.previews != previews:  # something was changed meanwhile, and its file follows
            return [gr.skip(), gr.skip()]
        return _finished(own)

    def referred(self, own: Desk | None, *rest: Any) -> list[Update]:
        """Take up another reference, or none; shows what :meth:`finished` does as well."""
        if own is None:
            return [*_nothing(), no_download(), ""]
        previews = own.previews
        # The file first: by that the process that may crash has seen the reference.
        result = self.finished(own, *rest)
        if own.previews != previews:
            return [*(gr.skip() for _ in _nothing()), *result]
        return self._recolored(own, *rest, result=result)

    def settings_changed(self, own: Desk | None, *rest: Any) -> list[Update]:
        """Color the preview anew."""
        return [*_nothing(), no_download()] if own is None else self._recolored(own, *rest)

    def clicked(self, own: Desk | None, event: gr.SelectData) -> list[Update]:
        """Offer the colors that a place is likely to have; the download stays as it is."""
        if own is None:
            return _nothing()
        own = _with_one_page(own)
        x, y = (each // _times(own) for each in event.index)
        own.place = own.in_photo(x, y)
        own.offered = likely_colors(own.rgb, *own.in_preview(*own.place))[:SWATCHES]
        return self._show(own, f"Choose the color of {_at(own.place)}:")

    def taken(self, number: int, own: Desk | None, *rest: Any) -> list[Update]:
        """Give the place the color of a swatch."""
        own = _with_place(own)
        return self.hinted(own, own.offered[number][1], *rest)

    def hinted(self, own: Desk | None, picked: str, *rest: Any) -> list[Update]:
        """Give the place any color."""
        own = _with_place(own)
        x, y = own.place or (0, 0)
        # In the place of a color that was tried there before.
        others = [each for each in own.hints if (each.x, each.y) != (x, y)]
        own.change([*others, Hint(x, y, _hex(picked))])
        return self._recolored(own, *rest)

    def moved(self, own: Desk | None, number: int | None, *rest: Any) -> list[Update]:
        """Move a color to the place."""
        own = _with_place(own)
        hint = _chosen(own, number)
        x, y = own.place or (0, 0)
        others = [each for each in own.hints if each is not hint and (each.x, each.y) != (x, y)]
        own.change([*others, Hint(x, y, hint.color, hint.radius)])
        return self._recolored(own, *rest)

    def removed(self, own: Desk | None, number: int | None, *rest: Any) -> list[Update]:
        """Take a color back."""
        own = _with_photo(own)
        hint = _chosen(own, number)
        own.change([each for each in own.hints if each is not hint])
        return self._recolored(own, *rest)

    def undone(self, own: Desk | None, *rest: Any) -> list[Update]:
        """Take the last change back."""
        own = _with_photo(own)
        own.undo()
        return self._recolored(own, *rest)

    def cleared(self, own: Desk | None, *rest: Any) -> list[Update]:
        """Take all colors back."""
        own = _with_photo(own)
        own.change([])
        return self._recolored(own, *rest)

    def loaded(self, own: Desk | None, data: bytes, *rest: Any) -> list[Update]:
        """Take up the colors of a file."""
        own = _with_one_page(own)
        hints = _checked(hints_of, data, "The file")
        if any(hint.x >= own.shape[1] or hint.y >= own.shape[0] for hint in hints):
            raise refusal("These colors belong to a larger photo.")
        own.change(hints)
        return self._recolored(own, *rest)


Step = tuple[str, Update, Path | None]
"""What long work shows: a text, the button that gives the result, and the result's folder."""


def colored_files(
    workshop: Workshop,
    paths: list[str] | None,
    old: Path | None,
    *chosen_look: Any,
) -> Iterator[Step]:
    """Color files; ``old`` is the folder of the last result, which goes.

    Raises:
        ColorpipeError: there are no files, or too many.
    """
    forget_folder(old)
    if not paths:
        raise ColorpipeError("Bring some photos first.")
    yield long_report(_BEGINS), no_download(), None
    said: list[tuple[str, str]] = []
    done = failed = 0
    work = workshop.many([Path(path) for path in paths], _look(*chosen_look))
    with contextlib.closing(work) as results:
        for result in results:
            if isinstance(result, Path):
                button, folder = _file(result), result.parent
            else:
                done, outcome = result
                button, folder = no_download(), None
                failed += outcome.status == "failed"
                said += _said_of(outcome)
            failures = f", {failed} failed" if failed else ""
            text = f"{done} of {len(paths)} files are done{failures}."
            yield long_report(text, done / len(paths), said), button, folder


def colored_film(
    workshop: Workshop,
    path: str | None,
    steady: float,
    old: Path | None,
    *chosen_look: Any,
) -> Iterator[Step]:
    """Color a film; ``old`` is the folder of the last result, which goes.

    Raises:
        ColorpipeError: there is no film, or it cannot be colored.
    """
    forget_folder(old)
    if path is None:
        raise ColorpipeError("Bring a film first.")
    yield long_report(_BEGINS), no_download(), None
    said_at = -math.inf
    work = workshop.film(Path(path), _look(*chosen_look), float(steady))
    with contextlib.closing(work) as steps:
        for step in steps:
            if isinstance(step, Outcome):
                text = long_report("The film is done.", 1, _said_of(step))
                yield text, _file(step.outputs[0]), step.outputs[0].parent
            elif time.monotonic() - said_at >= _SAID_EVERY:
                said_at = time.monotonic()
                text = f"{step.frames} pictures are done, up to {clock(step.seconds)}."
                share = step.frames / step.total if step.total else None
                yield long_report(text, share), no_download(), None


def long_report(text: str, share: float | None = None, said: Sequence[tuple[str, str]] = ()) -> str:
    """Return what is said of long work as HTML: how far it is, and names with their sentences."""
    bar = ""
    if share:
        bar = Markup('<progress aria-label="How far it is" value="{:.3f}"></progress>').format(
            min(share, 1)
        )
    rows = Markup("").join(Markup("<li><b>{}</b>: {}</li>").format(*each) for each in said)
    return Markup('<div class="long">{}<p>{}</p><ul>{}</ul></div>').format(bar, text, rows)


NOT_BEGUN = long_report("Nothing is colored yet.")
_BEGINS = "It begins; the network is loaded first."
_SAID_EVERY = 0.3
"""Seconds from one word on a film's progress to the next."""


def _said_of(outcome: Outcome) -> list[tuple[str, str]]:
    said = outcome.reason or outcome.note
    return [(outcome.name, said)] if said else []


def _look(strength: float, size: str, model: str) -> Look:
    return Look(model, float(strength), None if size == SIZES[0] else int(size))


def refusal(sentence: str) -> gr.Error:
    """Return what makes Gradio say a sentence on the page, and nothing on the terminal."""
    return gr.Error(sentence, print_exception=False)


def _checked(function: Any, *arguments: Any) -> Any:
    """Call ``function``; what goes wrong is said on the page."""
    try:
        return function(*arguments)
    except (ColorpipeError, ValueError) as error:
        raise refusal(str(error)) from error


def _with_photo(own: Desk | None) -> Desk:
    if own is None:
        raise refusal("Bring a photo first.")
    return own


def _with_one_page(own: Desk | None) -> Desk:
    own = _with_photo(own)
    if own.pages > 1:
        raise refusal(
            f"{own.name} has {own.pages} pages, and colors can be given to photos of one page;"
            " bring its pages one by one."
        )
    return own


def _with_place(own: Desk | None) -> Desk:
    own = _with_photo(own)
    if own.place is None:
        raise refusal("Click a place in the photo first.")
    return own


def _chosen(own: Desk, number: int | None) -> Hint:
    if number is None or not 0 <= number < len(own.hints):
        raise refusal("Choose one of the colors so far first.")
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


def _next_step(own: Desk) -> str:
    if own.place is None:
        return "Click a place whose color you know."
    return f"Click another place, or choose another color for {_at(own.place)}."


def _named(hint: Hint) -> str:
    return f"{hint.color} at {_at((hint.x, hint.y))}"


def _nothing() -> list[Update]:
    """Return what the page shows without a photo."""
    no_colors = gr.update(choices=[], value=None)
    return [None, None, None, "", swatches_style([]), no_colors, None]


def swatches_style(colors: Sequence[tuple[str, str]]) -> str:
    """Return the style that gives the swatches their colors, and hides those without one.

    It carries their names as well, which the page's script gives them.
    """
    names = json.dumps([f"{name}, {each}" for name, each in colors])
    rules = [f"#swatch-{n} {{ background: {each}; }}" for n, (_, each) in enumerate(colors)]
    rules += [f"#swatch-{n} {{ display: none; }}" for n in range(len(colors), SWATCHES)]
    return Markup('<style data-names="{}">{}</style>').format(names, Markup(" ".join(rules)))


def _marked(own: Desk) -> NDArray[np.uint8]:
    """Return the picture to click, with a ring at each hint and at the place that was clicked."""
    times = _times(own)
    size = (own.gray.shape[1] * times, own.gray.shape[0] * times)
    # Never the preview itself, which rings would be drawn into.
    picture: NDArray[np.uint8] = np.array(
        cv2.resize(own.rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8
    )
    radius = max(max(picture.shape) // 90, 4)

    def ring(x: float, y: float, fill: tuple[int, int, int] | None) -> None:
        column, row = own.in_preview(x, y)
        place = (column * times + times // 2, row * times + times // 2)
        _ring(picture, place, radius, fill)

    for hint in own.hints:
        ring(hint.x, hint.y, hint.rgb())
    if own.place is not None:
        ring(*own.place, None)
    return picture


def _times(own: Desk) -> int:
    """Return how many times larger than the preview the picture to click is."""
    longest: int = max(own.gray.shape)
    return max(CANVAS // longest, 1)


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


def _finished(own: Desk) -> list[Update]:
    note = Markup("<p><b>{}</b>: {}</p>").format(own.name, own.note) if own.note else ""
    return [_file(own.result), note]


def no_download() -> Update:
    """Return the button while there is nothing to download."""
    return gr.DownloadButton(interactive=False)


def forget_folder(folder: Path | None) -> None:
    """Delete the folder of a result."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def forget(own: Desk | None) -> None:
    """Delete the files of a desk."""
    if own is not None:
        forget_folder(own.folder)
