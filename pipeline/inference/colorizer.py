"""The library's front door: a trained generator that colors any picture.

from pipeline.inference.colorizer import Colorizer

colorizer = Colorizer.load()
colorizer(Image.open("gray.jpg")).save("color.png")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.errors import ColorpipeError, needs_extra
from pipeline.imaging.color import Float, Samples
from pipeline.imaging.decode import Gray
from pipeline.imaging.gray_photo import GrayPhoto, Tint, from_image, of_array, render
from pipeline.imaging.icc import icc_for_colors
from pipeline.imaging.orientation import turned_upright
from pipeline.imaging.upsampling import Method
from pipeline.models.device import DeviceName
from pipeline.models.resolve import Runtime, find_model

I = TypeVar("I", Image.Image, Samples)  # noqa: E741

LONGEST = 2.0
"""A side of the network's picture is at most this many times the working size, at least 1/this."""

BATCH_SIZE = 256
"""Working size in pixels up to which the network's batch is a whole one."""


class Predictor(Protocol):
    """The network, whatever computes it."""

    size: int
    """Side in pixels of the pictures it was trained on."""
    multiple: int
    """Height and width are multiples of it."""
    recipe: str
    """Name of the recipe that trained it."""
    batch: int
    """Pictures of at most :data:`BATCH_SIZE` squared that are best predicted together."""

    def predict(self, grays: NDArray[np.uint8]) -> Float:
        """Predict a* and b* (N, h, w, 2) for sRGB grays (N, h, w), 0 to 255."""

    def in_threads(self, number: int) -> AbstractContextManager[None]:
        """Let every prediction be computed in ``number`` threads while the block runs."""


class Colorizer:
    """Colors gray pictures of any size; what was colorful is colored from its gray version.

    The result has the input's size and its tones: its Rec. 601 luma is the input's in every pixel.
    A colorizer may be called from several threads at once.

    Args:
        predictor: the network.
        strength: multiplies a* and b*: 0 is gray, 1 as predicted; a number of at least 0.
        size: the network's working size in pixels, at least 1; None is what it was trained on.
        tta: whether to average over the picture and its mirror image, at twice the time.
        upsampling: how color comes up to the picture's size: ``guided`` follows edges.

    Raises:
        ValueError: ``strength`` or ``size`` is outside its range.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        strength: float = 1.0,
        size: int | None = None,
        tta: bool = False,
        upsampling: Method = "guided",
    ) -> None:
        if not (math.isfinite(strength) and strength >= 0):
            raise ValueError(f"strength is {strength}, but must be a number of at least 0.")
        if size is not None and size < 1:
            raise ValueError(f"size is {size}, but must be at least 1, or None.")
        self.predictor = predictor
        self.weights: Path | None = None
        """The file that :meth:`load` has read."""
        self.strength = strength
        self.size = predictor.size if size is None else size
        self.tta = tta
        self.upsampling: Method = upsampling

    @property
    def batch(self) -> int:
        """Pictures that are predicted together: fewer where they are large, so memory is bounded.

        A pixel of the network's picture takes about 200 bytes while it is computed.
        """
        whole = self.predictor.batch
        return min(whole, max(whole * BATCH_SIZE**2 // self.size**2, 1))

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        device: DeviceName = "auto",
        *,
        strength: float = 1.0,
        size: int | None = None,
        tta: bool = False,
        upsampling: Method = "guided",
        runtime: Runtime = "auto",
    ) -> Colorizer:
        """Load a generator that `colorpipe train` or `colorpipe export` wrote.

        Nothing in the file is executed.

        Args:
            path: the file, ``*.onnx`` for ONNX Runtime; a recipe's name or ``pretrained``; None is
                what was trained in this folder, or else the pretrained weights: see
                :func:`pipeline.models.resolve.find_model`.
            device: ``auto`` takes CUDA, then MPS, then the CPU; ONNX Runtime has the CPU only.
            strength: see the class.
            size: see the class.
            tta: see the class.
            upsampling: see the class.
            runtime: ``auto`` goes by the file's extension; ``onnx`` takes the file that `colorpipe
                export` wrote, beside ``path``, and does not import PyTorch.

        Raises:
            ColorpipeError: the file is missing or not ours, or the device or the runtime is not
                there, or they do not go together.
            ValueError: see the class.
        """
        path = find_model(None if path is None else Path(path), runtime)
        if runtime == "auto":
            runtime = "onnx" if path.suffix == ".onnx" else "torch"
        predictor: Predictor
        if runtime == "onnx":
            if device not in {"auto", "cpu"}:
                raise ColorpipeError(
                    f"ONNX Runtime computes {path} on the CPU, not on the device '{device}'; use"
                    " --device cpu, or --runtime torch with PyTorch's weights."
                )
            predictor = _onnx_predictor(path)
        else:
            from pipeline.models.torch_predictor import TorchPredictor  # noqa: PLC0415 - imports torch

            predictor = TorchPredictor.load(path, device)
        colorizer = cls(predictor, strength=strength, size=size, tta=tta, upsampling=upsampling)
        colorizer.weights = path
        return colorizer

    def __call__(self, image: I) -> I:
        """Color one picture; see :meth:`colorize_many`."""
        return self.colorize_many([image])[0]

    def colorize_many(self, images: Sequence[I]) -> list[I]:
        """Color pictures of any sizes, those of like shape in one batch.

        Args:
            images: Pillow images of any mode but I and F, whose EXIF orientation and ICC profile
                are heeded; or arrays (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8 or uint16,
                gray, sRGB or sRGB with alpha.

        Returns:
            For an image an image of mode RGB, or RGBA if it had transparency, with its ``info``. It
            is upright: where EXIF told another orientation, the pixels are turned, and the tag is
            no longer in ``info["exif"]``. For an array an array (H, W, 3), or (H, W, 4) if it had
            alpha, of its type.

        Raises:
            ValueError: an image has no pixels, or an array another shape or type.
        """
        photos = [_photo_of(image) for image in images]
        results: list[I] = []
        for image, photo, tint in zip(images, photos, self.tints(photos), strict=True):
            if isinstance(image, Image.Image):
                results.append(_image_like(image, photo, tint))
            else:
                results.append(render(photo, tint))
        return results

    def tints(self, photos: Sequence[GrayPhoto]) -> list[Tint]:
        """Predict the colors of photos at the network's size."""
        grays = [photo.for_network(self.working_shape(photo.upright_shape)) for photo in photos]
        return [
            Tint.of(photo, gray, ab, self.upsampling)
            for photo, gray, ab in zip(photos, grays, self.predict(grays), strict=True)
        ]

    def working_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return height and width for the network: a photo's shape at about ``size`` squared.

        Both are multiples of what the network needs, so that the aspect is kept roughly only.
        """
        multiple = self.predictor.multiple

        def side(own: int, other: int) -> int:
            stretch = min(max(math.sqrt(own / other), 1 / LONGEST), LONGEST)
            return max(round(self.size * stretch / multiple), 1) * multiple

        height, width = shape
        return side(height, width), side(width, height)

    def predict(self, grays: Sequence[Gray]) -> list[Float]:
        """Predict a* and b* (h, w, 2), ``strength`` applied, for grays of working shapes."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, gray in enumerate(grays):
            by_shape.setdefault(gray.shape, []).append(index)
        results: dict[int, Float] = {}
        for indices in by_shape.values():
            for start in range(0, len(indices), self.batch):
                batch = indices[start : start + self.batch]
                for index, ab in zip(batch, self._predict([grays[i] for i in batch]), strict=True):
                    results[index] = ab
        return [results[index] for index in range(len(grays))]

    def _predict(self, grays: Sequence[Gray]) -> Float:
        stack = np.stack(grays)
        ab = self.predictor.predict(stack)
        if self.tta:
            mirrored = self.predictor.predict(np.ascontiguousarray(stack[:, :, ::-1]))
            ab = (ab + mirrored[:, :, ::-1]) * np.float32(0.5)
        return np.asarray(ab * np.float32(self.strength), np.float32)


def _onnx_predictor(path: Path) -> Predictor:
    with needs_extra("onnx", "A model for ONNX Runtime"):
        from pipeline.models.onnx_predictor import OnnxPredictor  # noqa: PLC0415
    return OnnxPredictor(path)


def _photo_of(image: Image.Image | Samples) -> GrayPhoto:
    if isinstance(image, Image.Image):
        return from_image(image)
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"Arrays of {image.dtype} are not taken: scale them to uint8 or uint16.")
    if not image.size:
        raise ValueError(f"An array of shape {image.shape} has no pixels.")
    channels = image.shape[2] if image.ndim == 3 else 1 if image.ndim == 2 else 0
    if channels not in {1, 3, 4}:
        raise ValueError(f"An array of shape {image.shape} is not (H, W) or (H, W, 1, 3 or 4).")
    return of_array(image)


def _image_like(image: Image.Image, photo: GrayPhoto, tint: Tint) -> Image.Image:
    """Render as Pillow's image with the ``info`` of ``image``; Pillow has no 16-bit colors."""
    if photo.gray.dtype == np.uint16:
        photo = photo.in_8_bits()
    result = Image.fromarray(turned_upright(render(photo, tint), photo.orientation))
    result.info = {key: value for key, value in image.info.items() if key != "transparency"}
    if photo.orientation != 1:
        result.info = _without_orientation(result.info)
    if "icc_profile" in result.info:
        result.info["icc_profile"] = icc_for_colors(result.info["icc_profile"])
    return result


def _without_orientation(
    info: dict[str | tuple[int, int], Any],
) -> dict[str | tuple[int, int], Any]:
    """Take the orientation out of EXIF and XMP, as Pillow does it: on an image, here of a pixel."""
    pixel = Image.new("L", (1, 1))
    pixel.info = info
    return ImageOps.exif_transpose(pixel).info
