"""A reference photo: like things get like colors.

The places of both photos are compared by what the network's encoder sees there. Where the reference
has something alike, its color is known to the photo with a confidence; where it has not, nothing
is. (He et al. 2018, "Deep exemplar-based colorization", compare features of a classifier, too.)

Two photos of the same kind of thing, a rose and a rose, look alike to the encoder, and their colors
differ: colors from such a photo do harm. Where both show the same things, places side by side match
places side by side. So a single match counts for nothing, and neither do a few.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.color import Float

SHARPNESS = 0.03
"""A match whose similarity is less by it than the best one has 1/e of its weight."""
UNLIKE, ALIKE = 0.45, 0.6
"""Similarities of the best match, -1 to 1, up to which it is worth nothing, from which it is worth
all that it can be."""
MOST = 0.8
"""The highest confidence: a click is to be relied on more."""
LEAST = 0.15
"""A lower confidence is none: the network would take the color up all the same."""
BORDER = 2
"""Places along the border that are left out: there the encoder sees beyond the picture, and all
borders look alike."""
ASIDE = 2
"""Places by which the matches of two neighbors are apart at most, if they belong together."""
TOGETHER = 3
"""Of its four neighbors those that a match has to belong together with."""
SAME = 0.35
"""Share of such matches in a photo from which on the reference is taken to show the same things."""
MIXED = 25.0
"""Spread of a* and b* among the matches at which confidence is 1/e: they do not agree."""


@dataclass(frozen=True)
class Reference:
    """A photo's places and their colors."""

    features: Float
    """(n, channels), of length 1."""
    ab: Float
    """(n, 2)."""
    places: NDArray[np.intp]
    """(n, 2), row and column."""

    @classmethod
    def of(cls, features: Float, ab: Float) -> Reference:
        """Take what is seen (h, w, channels) and its colors (h, w, 2), but for the border."""
        inner = _inner(features.shape[:2])
        return cls(features[inner], ab[inner], np.argwhere(inner))


def _inner(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[BORDER:-BORDER, BORDER:-BORDER] = True
    return mask


def matched(features: Float, reference: Reference, shape: tuple[int, int]) -> Float | None:
    """Return what a reference says of a picture's colors.

    Args:
        features: (h, w, channels), of length 1, of the picture.
        reference: the other photo.
        shape: height and width of the result.

    Returns:
        (*shape, 3): a*, b* and the confidence in them, 0 where nothing matches; None where too
        little does.
    """
    height, width, channels = features.shape
    if not len(reference.features):  # so small that it has nothing but a border
        return None
    similarity = features.reshape(-1, channels) @ reference.features.T
    best = similarity.max(axis=1)
    places = reference.places[similarity.argmax(axis=1)].reshape(height, width, 2)
    inner = _inner((height, width)).ravel()
    kept = inner & _together(places).ravel()
    if np.count_nonzero(kept & (best > UNLIKE)) < SAME * np.count_nonzero(inner):
        return None
    weight = np.exp((similarity - best[:, None]) / np.float32(SHARPNESS))
    weight /= weight.sum(axis=1, keepdims=True)
    ab = weight @ reference.ab
    spread = weight @ np.square(reference.ab).sum(axis=1) - np.square(ab).sum(axis=1)
    alike = np.clip((best - UNLIKE) / (ALIKE - UNLIKE), 0, 1)
    confidence = MOST * alike * np.exp(-np.maximum(spread, 0) / MIXED**2)
    confidence *= kept & (confidence >= LEAST)
    if not confidence.any():
        return None
    # Weighed before it is enlarged: a place that nothing is known of has no color to mix in.
    coarse = np.column_stack([ab * confidence[:, None], confidence]).reshape(height, width, 3)
    size = (shape[1], shape[0])
    fine = np.asarray(
        cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32
    )
    fine[..., :2] /= np.maximum(fine[..., 2:], np.float32(1e-4))
    return fine


def _together(places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Say which of the matches (h, w, 2) belong together with enough of their neighbors."""
    count = np.zeros(places.shape[:2], np.intp)
    down = np.abs(np.diff(places, axis=0)).max(axis=-1) <= ASIDE
    across = np.abs(np.diff(places, axis=1)).max(axis=-1) <= ASIDE
    count[1:] += down
    count[:-1] += down
    count[:, 1:] += across
    count[:, :-1] += across
    return np.asarray(count >= TOGETHER)


def blended(plain: Float, softened: Float, known: Float) -> Float:
    """Take of a prediction (h, w, 2) by a reference what the reference stands for.

    A network gives a color that it was given at one place to much of the picture, and stronger than
    it was: around many places that are known all of it is taken, around single ones little and
    elsewhere nothing, with no more chroma than there was or the reference has.

    Args:
        plain: a* and b* as predicted without the reference.
        softened: the same with it.
        known: what :func:`matched` said.
    """
    height, width = plain.shape[:2]
    confidence = known[..., 2]
    side = 2 * (max(confidence.shape) // 4) + 1
    around = cv2.GaussianBlur((confidence > 0).astype(np.float32), (side, side), 0)
    large = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    taken = np.clip((large - _SINGLE) / (_MANY - _SINGLE), 0, 1)[..., None]
    own = np.linalg.norm(known[..., :2][confidence > 0], axis=-1)
    most = np.maximum(np.linalg.norm(plain, axis=-1, keepdims=True), np.quantile(own, _STRONGEST))
    chroma = np.linalg.norm(softened, axis=-1, keepdims=True)
    held = softened * np.minimum(1, most / np.maximum(chroma, 1e-3))
    return np.asarray(plain + taken * taken * (3 - 2 * taken) * (held - plain), np.float32)


_SINGLE, _MANY = 0.05, 0.4
"""Shares of the places around that are known, for no trust and for full trust."""
_STRONGEST = 0.75
"""The share of the known colors that have less chroma than any result gets by a reference."""
