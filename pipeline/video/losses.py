"""What a new film does not hold of the old one's pictures, as phrases."""

from __future__ import annotations

import av
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from pipeline.video.encoding import Encoder
from pipeline.video.side_data import carried

_OF_HDR = {
    "MASTERING_DISPLAY_METADATA",
    "CONTENT_LIGHT_LEVEL",
    "DYNAMIC_HDR_PLUS",
    "DYNAMIC_HDR_VIVID",
    "DOVI_METADATA",
}


def losses(
    stream: VideoStream, first: av.VideoFrame, encoder: Encoder, *, interlaced: bool
) -> list[str]:
    """Say what the encoder does not hold of a film, by its first frame."""
    lost = []
    bits, own = (
        VideoFormat(name).components[0].bits for name in (first.format.name, encoder.pixels)
    )
    if bits > own:
        lost.append(f"{own} bits of {bits}, which the codec does not hold")
    # VP8 and VP9 keep it beside the pictures.
    if any(part.is_alpha for part in first.format.components) or "alpha_mode" in stream.metadata:
        lost.append("without its transparency, which the codec does not hold")
    beside = carried(first).keys()
    if beside & _OF_HDR:
        lost.append("without what HDR says of the brightest places, which is not copied")
    if "A53_CC" in beside and encoder.codec != "libx264":
        lost.append("without its captions, which only libx264 writes")
    if interlaced and encoder.codec in {"libx265", "libsvtav1", "libvpx-vp9"}:
        lost.append("without saying that it is interlaced, which the codec does not hold")
    return lost
