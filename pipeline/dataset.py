"""The split photos as pixels that training can draw batches from.

Every photo is decoded once, into one file of uint8 pixels that is memory-mapped: a second run
starts at once, and a data set larger than memory is read as it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.errors import ColorpipeError
from pipeline.images import ImageError, new_file, open_photo
from pipeline.progress import track

CACHE = Path(".colorpipe/pixels")
SMALLEST_CROP = 0.6
"""The smallest random crop's side as a part of the photo's shorter side."""


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


def list_pairs(split: Path, part: str) -> list[str]:
    """Return the sorted file names that ``split/<part>_x`` and ``split/<part>_y`` both hold.

    Raises:
        ColorpipeError: a folder is missing or empty, or a photo stands on one side only.
    """
    x, y = (_names(split / f"{part}_{side}") for side in "xy")
    if unpaired := sorted(set(x) ^ set(y)):
        there = "x" if unpaired[0] in x else "y"
        raise ColorpipeError(
            f"{split / f'{part}_{there}' / unpaired[0]} has no counterpart of the same name on the"
            f" other side ({len(unpaired)} such files); run `colorpipe split` again."
        )
    if not y:
        raise ColorpipeError(
            f"{split / f'{part}_y'} holds no photos; run the stages before, or look into"
            " reports/clean.csv for why none was kept."
        )
    return y


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ColorpipeError(
            f"The folder {folder} is missing; run `colorpipe split` first."
        ) from error


def read_photos(split: Path, part: str, cache: Path = CACHE) -> PhotoSet:
    """Decode the colour photos of one part ("train", "val") of a split, once.

    Raises:
        ColorpipeError: as :func:`list_pairs`; or a photo is damaged or of another size.
    """
    names = list_pairs(split, part)
    folder = split / f"{part}_y"
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + hashlib.sha256((folder / name).read_bytes()).digest())
    fingerprint = digest.hexdigest()
    stored = cache / f"{fingerprint[:32]}.npy"
    if not stored.exists():
        with new_file(stored) as temporary:
            _decode(folder, names, temporary)
    return PhotoSet(tuple(names), np.load(stored, mmap_mode="r"), fingerprint)


def _decode(folder: Path, names: Sequence[str], target: Path) -> None:
    pixels: NDArray[np.uint8] | None = None
    for index, name in enumerate(track(names, "Reading photos")):
        try:
            photo = np.asarray(open_photo(folder / name).image)
        except ImageError as error:
            raise ColorpipeError(
                f"{folder / name} cannot be read: {error}; run `colorpipe split` again."
            ) from error
        if pixels is None:
            pixels = np.lib.format.open_memmap(
                target, "w+", dtype=np.uint8, shape=(len(names), *photo.shape)
            )
        if photo.shape != pixels.shape[1:]:
            raise ColorpipeError(
                f"{folder / name} is {photo.shape[1]}x{photo.shape[0]}, but {names[0]} is"
                f" {pixels.shape[2]}x{pixels.shape[1]}: photos must be of one size; run `colorpipe"
                " resize` and `colorpipe split` again."
            )
        pixels[index] = photo
    if isinstance(pixels, np.memmap):
        pixels.flush()


class BatchSampler:
    """Draws batches; which photos, and how they are cropped, follows from seed and step alone.

    So a run that was stopped goes on with exactly the batches it would have had.

    Args:
        photos: what to draw from.
        size: side of the pictures drawn.
        batch_size: pictures a batch; the rest of an epoch that fills no batch is left out, a
            different one each epoch.
        augmented: random square crops and mirror images, instead of whole photos.
        seed: draws other orders and crops.

    Raises:
        ColorpipeError: the batch is larger than the data.
    """

    def __init__(
        self, photos: PhotoSet, size: int, batch_size: int, augmented: bool, seed: int
    ) -> None:
        if batch_size > len(photos):
            raise ColorpipeError(
                f"A batch of {batch_size} cannot be drawn from {len(photos)} training photos; lower"
                " train.batch_size, or scrape more photos."
            )
        self.photos = photos
        self.size = size
        self.batch_size = batch_size
        self.augmented = augmented
        self.seed = seed
        self.steps_per_epoch = len(photos) // batch_size
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def batch(self, step: int, device: torch.device) -> torch.Tensor:
        """Return the batch of ``step`` (from 0): sRGB (N, 3, size, size), float32, 0 to 1."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order = np.random.default_rng([self.seed, epoch]).permutation(len(self.photos))
            self._epoch = epoch
        chosen = np.sort(self._order[place * self.batch_size : (place + 1) * self.batch_size])
        rgb = to_tensor(self.photos.pixels[chosen], device)
        if not self.augmented:
            return resized(rgb, self.size)
        return self._cropped(rgb, np.random.default_rng([self.seed, 1, step]))

    def _cropped(self, rgb: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
        """Cut a square of random size and place from each photo, mirrored half of the time."""
        count, _, height, width = rgb.shape
        short = min(height, width)
        side = random.uniform(SMALLEST_CROP, 1.0, count) * short
        # affine_grid's coordinates: the photo spans -1 to 1 both ways.
        scale = np.stack([side / width, side / height], axis=1)
        centre = random.uniform(-1, 1, (count, 2)) * (1 - scale)
        mirror = np.where(random.random(count) < 0.5, -1.0, 1.0)
        theta = np.zeros((count, 2, 3), np.float32)
        theta[:, 0, 0] = scale[:, 0] * mirror
        theta[:, 1, 1] = scale[:, 1]
        theta[:, :, 2] = centre
        grid = functional.affine_grid(
            torch.from_numpy(theta).to(rgb.device),
            [count, 3, self.size, self.size],
            align_corners=False,
        )
        return functional.grid_sample(
            rgb, grid, mode="bilinear", padding_mode="border", align_corners=False
        )


def to_tensor(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Bring sRGB pixels (N, H, W, 3), 0 to 255, to the device as (N, 3, H, W), 0 to 1."""
    # A copy, since a memory-mapped photo may not be written to, as torch would be free to do.
    tensor = torch.from_numpy(np.array(pixels)).to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2).float() / 255


def resized(rgb: torch.Tensor, size: int) -> torch.Tensor:
    """Scale (N, 3, H, W) to (N, 3, size, size), with antialiasing; nothing to do is not done."""
    if rgb.shape[-2:] == (size, size):
        return rgb
    return functional.interpolate(
        rgb, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
