"""Contact sheets: pictures in labeled rows, for a person to look over."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.imaging.decode import RGB

_PAPER, _INK = (255, 255, 255), (34, 34, 34)
_GAP = 6
_MARGIN = 12

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    rows: Sequence[Sequence[RGB]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int = 200,
) -> Image.Image:
    """Lay pictures out in rows of square cells, with labels to the left and on top.

    Args:
        rows: pictures (H, W, 3), uint8, of any sizes; rows may differ in length. A picture larger
            than its cell is scaled down, one at most half as large is enlarged by a whole factor;
            the aspect ratio is kept and nothing is cut off.
        row_labels: a label for each row, or none; one that is too long is cut with an ellipsis.
        column_labels: a label for each column, or none; one that is too long goes on in a second
            line, behind a hyphen or a space.
        cell: side of a cell in px.

    Returns:
        An RGB image, black on white.

    Raises:
        ValueError: there is no picture, or there are more labels than rows or columns.
    """
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ValueError("A contact sheet needs at least one picture.")
    if len(row_labels) > len(rows) or len(column_labels) > columns:
        raise ValueError("A contact sheet has more labels than rows or columns.")
    points = max(11, cell // 13)
    font = ImageFont.load_default(points)
    line = round(points * 1.6)
    left = _MARGIN
    if row_labels:
        widest = max(font.getlength(label) for label in row_labels)
        left += min(round(widest), cell) + _MARGIN
    heads = [_in_lines(label, font, cell) for label in column_labels]
    top = _MARGIN + line * max((1 + head.count("\n") for head in heads), default=0)
    step = cell + _GAP
    sheet = Image.new(
        "RGB",
        (left + columns * step - _GAP + _MARGIN, top + len(rows) * step - _GAP + _MARGIN),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for i, head in enumerate(heads):
        center = left + i * step + cell // 2
        draw.text((center, top - _GAP), head, _INK, font, anchor="md", align="center")
    for j, label in enumerate(row_labels):
        middle = top + j * step + cell // 2
        draw.text((_MARGIN, middle), _fit(label, font, cell), _INK, font, anchor="lm")
    for j, row in enumerate(rows):
        for i, picture in enumerate(row):
            shown = Image.fromarray(_scaled(picture, cell))
            x = left + i * step + (cell - shown.width) // 2
            y = top + j * step + (cell - shown.height) // 2
            sheet.paste(shown, (x, y))
    return sheet


def _scaled(picture: RGB, cell: int) -> RGB:
    """Bring a picture to the size it has in a cell of ``cell`` px."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer > cell:
        size = (max(1, round(width * cell / longer)), max(1, round(height * cell / longer)))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    factor = cell // longer
    return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def _in_lines(label: str, font: _Font, width: float) -> str:
    """Break a label that is wider than ``width`` px where most of it stays in the first line."""
    if font.getlength(label) > width:
        ends = [i for i, letter in enumerate(label, 1) if letter in "- "]
        fitting = [end for end in ends if font.getlength(label[:end]) <= width]
        if fitting:
            label = f"{label[: fitting[-1]]}\n{label[fitting[-1] :]}"
    return "\n".join(_fit(line, font, width) for line in label.split("\n"))


def _fit(label: str, font: _Font, width: float) -> str:
    """Cut a label that is wider than ``width`` px, with an ellipsis for what is gone."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
