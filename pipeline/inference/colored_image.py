"""A colored picture that shows itself before and after, as the result of a notebook's cell."""

from __future__ import annotations

import base64
import io

from PIL import Image

from pipeline.imaging.srgb import to_srgb

LONGEST = 320
"""The longer side of what is shown, in px: a notebook keeps it."""
_QUALITY = 80


class ColoredImage(Image.Image):
    """A Pillow image like any other, but for notebooks; what is made of it is a plain one again."""

    @classmethod
    def of(cls, image: Image.Image) -> ColoredImage:
        """Turn ``image`` itself into one."""
        image.__class__ = cls
        assert isinstance(image, cls)
        return image

    def _repr_html_(self) -> str:
        """Return both pictures, small and in sRGB, on white where they are transparent.

        The one before is this one's luma, which coloring has kept.
        """
        small = self.copy()
        small.thumbnail((LONGEST, LONGEST))
        after = to_srgb(small, self.info.get("icc_profile"), [])
        shown = "".join(
            f'<figure style="margin: 0"><img alt="{name}" src="{_jpeg(image)}">'
            f"<figcaption>{name}</figcaption></figure>"
            for name, image in (("before", after.convert("L")), ("after", after))
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{shown}</div>'

    def _repr_png_(self) -> None:
        """Leave the whole picture out of the notebook, which would keep it beside the small one."""

    def _repr_jpeg_(self) -> None:
        """See :meth:`_repr_png_`."""


def _jpeg(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
