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
        column_labels: a label for each column, or none.
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
    top = _MARGIN + (line if column_labels else 0)
    step = cell + _GAP
    sheet = Image.new(
        "RGB",
        (left + columns * step - _GAP + _MARGIN, top + len(rows) * step - _GAP + _MARGIN),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for i, label in enumerate(column_labels):
        center = left + i * step + cell // 2
        draw.text((center, top - _GAP), _fit(label, font, cell), _INK, font, anchor="md")
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


def _fit(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Cut a label that is wider than ``width`` px, with an ellipsis for what is gone."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
