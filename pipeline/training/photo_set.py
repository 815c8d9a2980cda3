"""The split photos as pixels that training can draw batches from.

Every photo is decoded once, into one file of uint8 pixels that is memory-mapped: a second run
starts at once, and a data set larger than memory is read as it is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.dataset.split_folder import category_of, list_pairs
from pipeline.errors import ColorpipeError
from pipeline.files.outputs import new_file, reason_of
from pipeline.files.progress import track
from pipeline.imaging.decode import RGB, ImageError, open_photo, read_bytes

if TYPE_CHECKING:
    from pipeline.recipes.shared.base import Augmentation

CACHE = Path(".colorpipe/pixels")
KEPT = 8
"""Sets of photos whose pixels are kept: train and validation of the last four splits."""

# What random numbers are drawn for, so that no two draws share a stream.
_ORDER, _CROP = 0, 1


@dataclass(frozen=True)
class PhotoSet:
    """Photos of one size, in the order of their names."""

    names: tuple[str, ...]
    pixels: NDArray[np.uint8]
    """sRGB (N, H, W, 3), memory-mapped."""
    fingerprint: str
    """Hash of the names and the bytes of all photos."""

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The categories that photos are of, sorted; a photo's name begins with its category."""
        return tuple(sorted({category_of(name) for name in self.names}))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """For each photo (N,) the place of its category in ``categories``."""
        places = {category: place for place, category in enumerate(self.categories)}
        return np.array([places[category_of(name)] for name in self.names], np.int64)


def read_photos(split: Path, part: str, cache: Path = CACHE) -> PhotoSet:
    """Decode the color photos of one part ("train", "val") of a split, once.

    Raises:
        ColorpipeError: as :func:`list_pairs`; or a photo is damaged or of another size.
    """
    names = list_pairs(split, part)
    folder = split / f"{part}_y"
    digest = hashlib.sha256()
    for name in names:
        photo = hashlib.sha256((folder / name).read_bytes())
        digest.update(os.fsencode(name) + b"\0" + photo.digest())
    fingerprint = digest.hexdigest()
    stored = cache / f"{fingerprint[:32]}.npy"
    pixels = _stored(stored)
    if pixels is None:
        _store(folder, names, stored)
        _forget(cache)
        pixels = np.load(stored, mmap_mode="r")
    return PhotoSet(tuple(names), pixels, fingerprint)


def _stored(path: Path) -> NDArray[np.uint8] | None:
    """Return the pixels in a file of the cache; None if it is not there, or damaged."""
    try:
        pixels: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return pixels


def _forget(cache: Path) -> None:
    """Delete all but the newest files of pixels; who has one open keeps what it holds."""
    by_age = sorted(cache.glob("*.npy"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in by_age[KEPT:]:
        # Windows does not delete a file that is open: another time, then.
        with contextlib.suppress(OSError):
            path.unlink()


def _store(folder: Path, names: Sequence[str], target: Path) -> None:
    """Decode photos into a file of the cache.

    It is written, not mapped: on a full disk the system kills who writes to a mapped file.
    """
    needed = ""
    try:
        with new_file(target) as temporary, temporary.open("wb") as stream:
            for index, photo in enumerate(_decoded(folder, names)):
                if index == 0:
                    needed = f", {len(names) * photo.nbytes / 1e6:.1f} MB,"
                    shape = (len(names), *photo.shape)
                    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(stream, header)
                stream.write(photo.tobytes())
    except OSError as error:
        raise ColorpipeError(
            f"The pixels of {len(names)} photos{needed} cannot be written to {target.parent}:"
            f" {reason_of(error)}; free some space there, or run in a folder that may be written"
            " to."
        ) from error


def _decoded(folder: Path, names: Sequence[str]) -> Iterator[RGB]:
    first: RGB | None = None
    for name in track(names, "Reading photos"):
        try:
            photo = open_photo(read_bytes(folder / name)).pixels
        except ImageError as error:
            raise ColorpipeError(
                f"{folder / name} cannot be read: {error}; run `colorpipe split` again."
            ) from error
        if first is None:
            first = photo
        if photo.shape != first.shape:
            raise ColorpipeError(
                f"{folder / name} is {photo.shape[1]}x{photo.shape[0]}, but {names[0]} is"
                f" {first.shape[1]}x{first.shape[0]}: photos must be of one size; run `colorpipe"
                " resize` and `colorpipe split` again."
            )
        yield photo


class BatchSampler:
    """Draws batches; which photos, and how they are cropped, follows from seed and step alone.

    So a run that was stopped goes on with exactly the batches it would have had.

    Args:
        photos: what to draw from.
        size: side of the pictures drawn.
        batch_size: pictures a batch; the rest of an epoch that fills no batch is left out, a
            different one each epoch.
        augmentation: how squares are cut from photos; None takes the photos whole.
        balance: how evenly an epoch draws from the categories: 0 takes every photo once, 1 takes as
            many of each category, small ones several times over. In between a category of n photos
            gets a share that goes by n^(1 - balance).
        draw: factors on the shares of some categories, by name; the others' is 1.
        seed: draws other orders and crops.
        part: which part of every batch to return, and of how many, where several processes share
            the work; together the parts are the batch that a single process has, but for collages,
            which are made within each part.

    Raises:
        ColorpipeError: the batch is larger than the data, or cannot be shared equally; ``draw``
            names a category that is not there, or has a factor that is not above 0.
    """

    def __init__(
        self,
        photos: PhotoSet,
        size: int,
        batch_size: int,
        *,
        augmentation: Augmentation | None,
        seed: int,
        balance: float = 0.0,
        draw: Mapping[str, float] | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        if batch_size > len(photos):
            raise ColorpipeError(
                f"A batch of {batch_size} cannot be drawn from {len(photos)} training photos; lower"
                " train.batch_size, or scrape more photos."
            )
        if batch_size % part[1]:
            raise ColorpipeError(
                f"A batch of {batch_size} cannot be shared equally by {part[1]} processes; set"
                f" train.batch_size to a multiple of {part[1]}."
            )
        for name, factor in (draw or {}).items():
            if name not in photos.categories:
                raise ColorpipeError(
                    f"train.options.draw names '{name}', but the categories are"
                    f" {', '.join(photos.categories)}."
                )
            if not factor > 0:
                raise ColorpipeError(
                    f"train.options.draw gives '{name}' {factor:g}, but a factor is above 0."
                )
        self.photos = photos
        self.size = size
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.steps_per_epoch = len(photos) // batch_size
        share = batch_size // part[1]
        self._part = slice(part[0] * share, (part[0] + 1) * share)
        counts = np.bincount(photos.labels)[photos.labels]
        factors = np.array([(draw or {}).get(name, 1.0) for name in photos.categories])
        shares = counts**-balance * factors[photos.labels]
        self._shares = shares / shares.sum()
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def chosen(self, step: int, order: int = 0) -> NDArray[np.int64]:
        """Return the places in ``photos``, ascending, of all photos in the batch of ``step``."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._orders.get(order, (-1,))[0] != epoch:
            self._orders[order] = (epoch, self._epoch(epoch, order))
        shuffled = self._orders[order][1]
        return np.sort(shuffled[place * self.batch_size : (place + 1) * self.batch_size])

    def _epoch(self, epoch: int, order: int) -> NDArray[np.int64]:
        """Draw as many photos as there are, each as often as its share says, up to rounding."""
        random = np.random.default_rng([self.seed, _ORDER, epoch, order])
        shuffled = random.permutation(len(self.photos))
        # Systematic sampling: equal steps along the shares, laid end to end in a random order.
        steps = (np.arange(len(shuffled)) + 0.5) / len(shuffled)
        ends = np.cumsum(self._shares[shuffled])
        drawn = shuffled[np.searchsorted(ends[:-1], steps)]
        return random.permutation(drawn)

    def batch(
        self, step: int, device: torch.device, order: int = 0, size: int | None = None
    ) -> torch.Tensor:
        """Return the batch of ``step`` (from 0): sRGB (N, 3, size, size), float32, 0 to 1.

        Another ``order`` is another shuffle of the same photos, with other crops; another ``size``
        shows the same crops.
        """
        size = size or self.size
        rgb = to_tensor(self.photos.pixels[self.chosen(step, order)[self._part]], device)
        if self.augmentation is None:
            return resized(rgb, size)
        random = np.random.default_rng([self.seed, _CROP, step, order])
        rgb = self._augmented(rgb, self.augmentation, random, size)
        return _with_collages(rgb, self.augmentation.collages, random)

    def _augmented(
        self, rgb: torch.Tensor, augmentation: Augmentation, random: np.random.Generator, size: int
    ) -> torch.Tensor:
        """Cut a square of random size and place from each photo, mirrored half of the time."""
        height, width = rgb.shape[-2:]
        short = min(height, width)
        # Drawn for the whole batch, of which this process may have a part.
        side = random.uniform(augmentation.smallest, augmentation.largest, self.batch_size) * short
        # affine_grid's coordinates: the photo spans -1 to 1 both ways.
        scale = np.stack([side / width, side / height], axis=1)
        if augmentation.stretch > 1:
            limit = np.log(augmentation.stretch)
            ratio = np.exp(random.uniform(-limit, limit, self.batch_size))
            # What would be cut from beyond the photo's edge is cut shorter: no edge is repeated.
            scale = np.minimum(scale * np.stack([ratio**0.5, ratio**-0.5], axis=1), 1)
        place = random.uniform(-1, 1, (self.batch_size, 2))
        mirror = np.where(random.random(self.batch_size) < 0.5, -1.0, 1.0)
        if augmentation.smallest == augmentation.largest:
            rgb = _slices(rgb, size, augmentation.largest, place[self._part])
            mirrored = torch.from_numpy(mirror[self._part] < 0).to(rgb.device)
            return torch.where(mirrored[:, None, None, None], rgb.flip(3), rgb)
        # The grid below only interpolates: what it would have to shrink is shrunk before, with
        # antialiasing, to where the smallest square has about the size wanted.
        shrink = size / augmentation.smallest / short
        if shrink < 0.9:
            rgb = functional.interpolate(
                rgb, scale_factor=shrink, mode="bilinear", antialias=True, align_corners=False
            )
        theta = np.zeros((self.batch_size, 2, 3), np.float32)
        theta[:, 0, 0] = scale[:, 0] * mirror
        theta[:, 1, 1] = scale[:, 1]
        theta[:, :, 2] = place * (1 - scale)
        grid = functional.affine_grid(
            torch.from_numpy(theta[self._part]).to(rgb.device),
            [len(rgb), 3, size, size],
            align_corners=False,
        )
        return functional.grid_sample(
            rgb, grid, mode="bilinear", padding_mode="border", align_corners=False
        )


def _with_collages(rgb: torch.Tensor, share: float, random: np.random.Generator) -> torch.Tensor:
    """Replace a ``share`` of the pictures (N, 3, S, S) by collages of four of them at half size.

    A face or a flower that fills its photo is then also seen as small as it is in a scene.
    """
    number = round(share * len(rgb))
    if not number:
        return rgb
    small = functional.avg_pool2d(rgb, 2)
    four = torch.from_numpy(random.integers(0, len(rgb), (4, number)))
    top = torch.cat([small[four[0]], small[four[1]]], dim=3)
    bottom = torch.cat([small[four[2]], small[four[3]]], dim=3)
    places = torch.from_numpy(random.permutation(len(rgb))[:number]).to(rgb.device)
    return rgb.index_copy(0, places, torch.cat([top, bottom], dim=2))


def _slices(rgb: torch.Tensor, size: int, part: float, places: NDArray[np.float64]) -> torch.Tensor:
    """Slice a square of ``size`` px, ``part`` of the shorter side, from each photo (N, 3, H, W).

    Photos of another size are scaled as validation does, so that whole pixels are cut: between them
    a square would be blurred. ``places`` (N, 2) say where, x and y, from -1 to below 1.
    """
    short = min(rgb.shape[-2:])
    height, width = (round(side * round(size / part) / short) for side in rgb.shape[-2:])
    rgb = resized(rgb, height, width)
    spare = np.array([width - size, height - size])
    corners = ((places + 1) / 2 * (spare + 1)).astype(int)
    squares = [
        photo[:, top : top + size, left : left + size]
        for photo, (left, top) in zip(rgb, corners, strict=True)
    ]
    return torch.stack(squares)


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Bring sRGB pixels (N, H, W, 3), 0 to 255, to the device as (N, 3, H, W), 0 to 1."""
    # A copy, since a memory-mapped photo may not be written to, as torch would be free to do.
    tensor = torch.from_numpy(np.array(pixels)).to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2).float() / 255


def resized(rgb: torch.Tensor, height: int, width: int | None = None) -> torch.Tensor:
    """Scale (N, 3, H, W), 0 to 1, to ``height`` x ``width``; to a square if there is no ``width``.

    Bicubic with antialiasing: Pillow's filter, which the published systems scale with. Photos that
    have the size already are returned as they are.
    """
    size = (height, width or height)
    if rgb.shape[-2:] == size:
        return rgb
    scaled = functional.interpolate(
        rgb, size=size, mode="bicubic", antialias=True, align_corners=False
    )
    # The filter's negative lobes reach beyond the ends.
    return scaled.clamp(0, 1)
