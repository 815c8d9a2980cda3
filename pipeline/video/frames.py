"""Frames in color: each with the luma it has, and with new chroma."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from pipeline.imaging.color import Float, Samples
from pipeline.imaging.decode import Gray
from pipeline.inference.colorizer import Colorizer
from pipeline.video.chroma import write_chroma
from pipeline.video.planes import (
    Layout,
    in_planes,
    layout_of,
    mark_colors,
    pixels_for,
    plane_of,
    small_gray,
)
from pipeline.video.reading import Film
from pipeline.video.side_data import matrix_of, rotation_of
from pipeline.video.steadiness import ColorState, SteadyColors


@dataclass(frozen=True)
class ColoredFrame:
    """A frame of a film in color."""

    frame: av.VideoFrame
    seconds: float
    """When it is shown, from the film's beginning."""

    def rgb(self) -> np.typing.NDArray[np.uint8]:
        """Return the frame as sRGB (H, W, 3), uint8, 0 to 255."""
        return np.asarray(self.frame.to_ndarray(format="rgb24"), np.uint8)

    def planes(self) -> tuple[Samples, Samples, Samples]:
        """Return luma (H, W), and Cb and Cr at the film's chroma size, in the film's own codes.

        They are uint8, or uint16 where the film has more than 8 bits.
        """
        luma, cb, cr = (plane_of(self.frame, number).copy() for number in range(3))
        return luma, cb, cr


@dataclass(frozen=True)
class _Uncolored:
    """A frame whose colors are not known yet."""

    frame: av.VideoFrame
    layout: Layout
    gray: Gray


class FrameColorist:
    """Colors the frames of one film in their order, a few frames late.

    Args:
        colorizer: the network.
        pixels: the pixel format of the colored frames: planar YUV.
        rotation: degrees, counterclockwise, by which players turn the pictures.
        steady: see :class:`pipeline.video.steadiness.SteadyColors`.
        state: what another left off with.
    """

    def __init__(
        self,
        colorizer: Colorizer,
        pixels: str,
        rotation: int,
        steady: float,
        state: ColorState | None = None,
    ) -> None:
        self._colorizer = colorizer
        self._pixels = pixels
        self._quarters = round(rotation / 90) % 4
        self._colors = SteadyColors(self._predict, steady, state)
        self._uncolored: deque[_Uncolored] = deque()

    @property
    def state(self) -> ColorState | None:
        """What the colors of the next frame depend on, after :meth:`finish`."""
        return self._colors.state

    def add(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Take the next frame; yield those whose colors are known by now, with the luma they had.

        ``frame`` may be one of them: it is written to, or copied, and not to be used any more.
        """
        layout = layout_of(frame, self._pixels)
        colored = in_planes(frame, self._pixels)
        mark_colors(colored, layout, frame)
        # Where the old film had a key frame is not for the new one to follow.
        colored.pict_type = 0
        gray = small_gray(plane_of(colored, 0), layout, self._working_shape(layout))
        self._uncolored.append(_Uncolored(colored, layout, gray))
        yield from self._known(self._colors.add(gray))

    def finish(self) -> Iterator[av.VideoFrame]:
        """Yield the frames that are left."""
        yield from self._known(self._colors.finish())

    def _known(self, colors: list[Float]) -> Iterator[av.VideoFrame]:
        for differences in colors:
            own = self._uncolored.popleft()
            # What the decoder still refers to is copied. Few frames are, this late: copies made
            # when they came would double those that wait.
            own.frame.make_writable()
            luma, cb, cr = (plane_of(own.frame, number) for number in range(3))
            write_chroma(
                luma,
                (cb, cr),
                own.layout,
                gray=own.gray,
                differences=differences,
                method=self._colorizer.upsampling,
            )
            yield own.frame

    def _working_shape(self, layout: Layout) -> tuple[int, int]:
        """Return the size for the network of frames as they are stored."""
        if self._quarters % 2:
            height, width = self._colorizer.working_shape((layout.width, layout.height))
            return width, height
        return self._colorizer.working_shape((layout.height, layout.width))

    def _predict(self, gray: Gray) -> Float:
        """Predict for a frame as it is looked at, and turn the colors back."""
        upright = np.ascontiguousarray(np.rot90(gray, self._quarters))
        (ab,) = self._colorizer.predict([upright])
        return np.ascontiguousarray(np.rot90(ab, -self._quarters))


_PLANAR = tuple(
    f"yuv{sampling}p{depth}"
    for sampling in ("420", "422", "444", "440", "411", "410")
    for depth in ("", "10le", "12le", "14le", "16le")
    if not depth or sampling in {"420", "422", "444"}
)
"""The pixel formats of colored frames where no encoder has a say."""


def colored_frames(source: Path, colorizer: Colorizer, steady: float) -> Iterator[ColoredFrame]:
    """Yield the frames of a film in color: see :func:`pipeline.video.color_video.colored_frames`.

    Raises:
        FilmError: the film cannot be read.
    """
    with Film(source) as film:
        colorist: FrameColorist | None = None

        def timed(frames: Iterator[av.VideoFrame]) -> Iterator[ColoredFrame]:
            for frame in frames:
                seconds = float((frame.pts or 0) * film.time_base - film.start)
                yield ColoredFrame(frame, seconds)

        for frame in film.frames():
            if colorist is None:
                pixels = pixels_for(frame.format, _PLANAR)
                rotation = rotation_of(matrix_of(frame))
                colorist = FrameColorist(colorizer, pixels, rotation, steady)
            yield from timed(colorist.add(frame))
        if colorist is not None:
            yield from timed(colorist.finish())
