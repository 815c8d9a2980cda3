"""A trained generator that colors any picture; :mod:`colorpipe` shows how it is used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.errors import ColorpipeError, needs_extra
from pipeline.imaging.color import Float, Samples, differences_over, luma, rgb_to_lab
from pipeline.imaging.decode import Gray
from pipeline.imaging.gray_photo import GrayPhoto, Tint, from_image, of_array, render, shrink
from pipeline.imaging.icc import icc_for_colors
from pipeline.imaging.orientation import by_exif_alone, orientation_of, turned_upright
from pipeline.imaging.srgb import to_srgb
from pipeline.imaging.upsampling import Method, Upsampler
from pipeline.inference import hints as hinting
from pipeline.inference.colored_image import ColoredImage
from pipeline.inference.hints import Hint
from pipeline.inference.references import Reference, blended, matched
from pipeline.models.resolve import find_model
from pipeline.params import DeviceName, RuntimeName

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


class HintedPredictor(Predictor, Protocol):
    """A network that takes hints: its ``takes_hints`` is true."""

    def predict_by_hints(self, grays: NDArray[np.uint8], hints: Sequence[Float]) -> list[Float]:
        """Predict without hints, and then by each: a*, b* and confidence (N, h/2, w/2, 3)."""

    def describe(self, grays: NDArray[np.uint8]) -> Float:
        """Return what is seen (N, h/8, w/8, channels), of length 1, alike where things are."""


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
        ValueError: ``strength`` or ``size`` is outside its range, or ``upsampling`` unknown.
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
        _require_word("upsampling", upsampling, get_args(Method))
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
        runtime: RuntimeName = "auto",
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
            ValueError: see the class; or ``runtime`` is unknown.
        """
        _require_word("runtime", runtime, get_args(RuntimeName))
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

    def __call__(
        self,
        image: I,
        *,
        hints: Sequence[Hint] = (),
        reference: Image.Image | Samples | Reference | None = None,
    ) -> I:
        """Color one picture.

        Args:
            image: see :meth:`colorize_many`.
            hints: places of it with their colors, in pixels of the upright picture.
            reference: a color photo, an image or an array (H, W, 3) of sRGB: what it shows gives
                its color to the like in the picture; or what :meth:`reference` made of it.

        Raises:
            ValueError: see :meth:`colorize_many`; or a hint is outside of the picture.
            ColorpipeError: there is a reference, and the network takes none.
        """
        known = reference if isinstance(reference, Reference | None) else self.reference(reference)
        return self.colorize_many([image], hints=[hints], reference=known)[0]

    def colorize_many(
        self,
        images: Sequence[I],
        *,
        hints: Sequence[Sequence[Hint]] | None = None,
        reference: Reference | None = None,
    ) -> list[I]:
        """Color pictures of any sizes, those of like shape in one batch.

        Args:
            images: Pillow images of any mode but I and F, whose EXIF orientation and ICC profile
                are heeded; or arrays (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8 or uint16,
                gray, sRGB or sRGB with alpha.
            hints: of each image; None is none.
            reference: of all images; see :meth:`reference`.

        Returns:
            For an image an image of mode RGB, or RGBA if it had transparency, with its ``info``; a
            notebook shows it before and after. It is upright: where EXIF told another orientation,
            the pixels are turned, and the tag is no longer in ``info["exif"]``. For an array an
            array (H, W, 3), or (H, W, 4) if it had alpha, of its type.

        Raises:
            TypeError: an image is neither Pillow's nor an array, but a path, for example.
            ValueError: an image has no pixels, or an array another shape or type; or a hint is
                outside of its picture.
        """
        photos = [_photo_of(image) for image in images]
        tints = self.tints(photos, hints, reference)
        results: list[I] = []
        for image, photo, tint in zip(images, photos, tints, strict=True):
            if isinstance(image, Image.Image):
                results.append(_image_like(image, photo, tint))
            else:
                results.append(render(photo, tint))
        return results

    def reference(self, image: Image.Image | Samples) -> Reference:
        """Take up a color photo that others get their colors from: see :meth:`__call__`.

        Raises:
            ColorpipeError: the network has no encoder to compare photos by.
            TypeError: it is neither an image of Pillow's nor an array.
            ValueError: it has no pixels, or is an array other than (H, W, 3 or 4) of uint8.
        """
        network = self._hinted
        if network is None:
            raise ColorpipeError(
                "A reference photo needs a network that takes hints, as those of the recipe"
                f" colorpipe do. This one is of the recipe {self.predictor.recipe}, or an ONNX file"
                " of an earlier version, which `colorpipe export --onnx` writes anew."
            )
        rgb = _colors_of(image)
        gray = shrink(luma(rgb), self.working_shape(rgb.shape[:2]))
        features = network.describe(gray[None])[0]
        height, width = features.shape[:2]
        # Mean colors, of light that is encoded: at this size the difference to light is small.
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        ab = rgb_to_lab(np.asarray(small, np.uint8))[..., 1:]
        return Reference.of(features, ab)

    @property
    def _hinted(self) -> HintedPredictor | None:
        takes_hints = getattr(self.predictor, "takes_hints", False)
        return cast(HintedPredictor, self.predictor) if takes_hints else None

    def tints(
        self,
        photos: Sequence[GrayPhoto],
        hints: Sequence[Sequence[Hint]] | None = None,
        reference: Reference | None = None,
    ) -> list[Tint]:
        """Predict the colors of photos at the network's size, or with hints at a larger one.

        Raises:
            ValueError: a hint is outside of its photo.
        """
        listed: Sequence[Sequence[Hint]] = hints or [()] * len(photos)
        for photo, own in zip(photos, listed, strict=True):
            hinting.require_inside(own, photo.upright_shape)
        grays = [photo.for_network(self.working_shape(photo.upright_shape)) for photo in photos]
        matches = [self._soft(gray, reference) for gray in grays]
        # What each photo is predicted by, after it is predicted by nothing.
        known: list[list[Float]] = []
        for photo, gray, own, soft in zip(photos, grays, listed, matches, strict=True):
            known.append([] if soft is None else [soft])
            if own and self._hinted is not None:
                known[-1].append(hinting.for_network(own, photo.upright_shape, gray, soft))
        predicted = self._predict_by(grays, known)
        tints = []
        for place, (photo, gray, own) in enumerate(zip(photos, grays, listed, strict=True)):
            plain, *others = predicted[place]
            if (soft := matches[place]) is not None:
                plain = blended(plain, others.pop(0), soft)
            if own:
                # Both, so that what the hints change can be confined to their things.
                hinted = others[0] if others else None
                tints.append(self._settled(photo, gray, own, plain, hinted))
            else:
                tints.append(Tint.of(photo, gray, plain, self.upsampling))
        return tints

    def _soft(self, gray: Gray, reference: Reference | None) -> Float | None:
        """Return what a reference says of a picture's colors (h/2, w/2, 3), if it says anything."""
        network = self._hinted
        if reference is None or network is None:
            return None
        half = (gray.shape[0] // 2, gray.shape[1] // 2)
        return matched(network.describe(gray[None])[0], reference, half)

    def _settled(
        self,
        photo: GrayPhoto,
        gray: Gray,
        hints: Sequence[Hint],
        plain: Float,
        hinted: Float | None,
    ) -> Tint:
        """Bring predictions to a size at which a click is a click, and hold them to the hints."""
        shape = hinting.fine_shape(len(hints), photo.upright_shape)
        fine = photo.for_network(shape)

        def brought_up(ab: Float) -> Float:
            colors = Upsampler(gray, differences_over(gray, ab), shape, self.upsampling)
            return np.dstack(colors.band(0, fine))

        settled = hinting.settle(
            hints,
            photo.upright_shape,
            fine,
            brought_up(plain),
            None if hinted is None else brought_up(hinted),
        )
        return Tint.over(photo, fine, settled, self.upsampling)

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
        return [plain for (plain,) in self._predict_by(grays, [()] * len(grays))]

    def _predict_by(
        self, grays: Sequence[Gray], known: Sequence[Sequence[Float]]
    ) -> list[list[Float]]:
        """Predict each gray as :meth:`predict` does, and once more by each of what is known of it.

        That is (h/2, w/2, 3), as :func:`pipeline.inference.hints.for_network` says.
        """
        alike: dict[tuple[tuple[int, ...], int], list[int]] = {}
        for index, gray in enumerate(grays):
            alike.setdefault((gray.shape, len(known[index])), []).append(index)
        results: dict[int, list[Float]] = {}
        for indices in alike.values():
            for start in range(0, len(indices), self.batch):
                batch = indices[start : start + self.batch]
                stack = np.stack([grays[index] for index in batch])
                hints = map(np.stack, zip(*(known[index] for index in batch), strict=True))
                predicted = self._predict(stack, list(hints))
                for place, index in enumerate(batch):
                    results[index] = [ab[place] for ab in predicted]
        return [results[index] for index in range(len(grays))]

    def _predict(self, grays: NDArray[np.uint8], hints: Sequence[Float]) -> list[Float]:
        results = self._compute(grays, hints)
        if self.tta:
            turned = [np.ascontiguousarray(own[:, :, ::-1]) for own in hints]
            mirrored = self._compute(np.ascontiguousarray(grays[:, :, ::-1]), turned)
            results = [
                (ab + other[:, :, ::-1]) * np.float32(0.5)
                for ab, other in zip(results, mirrored, strict=True)
            ]
        return [np.asarray(ab * np.float32(self.strength), np.float32) for ab in results]

    def _compute(self, grays: NDArray[np.uint8], hints: Sequence[Float]) -> list[Float]:
        network = self._hinted
        if network is None or not hints:
            return [self.predictor.predict(grays)]
        return network.predict_by_hints(grays, hints)


def _require_word(name: str, word: str, known: Sequence[str]) -> None:
    # Whoever misspells one would get another's result.
    if word not in known:
        raise ValueError(f"{name} is {word!r}, but must be one of {', '.join(known)}.")


def _onnx_predictor(path: Path) -> Predictor:
    with needs_extra("onnx", "A model for ONNX Runtime"):
        from pipeline.models.onnx_predictor import OnnxPredictor  # noqa: PLC0415
    return OnnxPredictor(path)


def _colors_of(image: Image.Image | Samples) -> NDArray[np.uint8]:
    """Return upright sRGB (H, W, 3) without transparency."""
    if isinstance(image, Image.Image):
        if not image.width or not image.height:
            raise ValueError("The reference photo has no pixels.")
        with by_exif_alone(image):
            image.load()
        stored = np.asarray(to_srgb(image, image.info.get("icc_profile"), []))
        return turned_upright(stored, orientation_of(image))
    _require_array(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in {3, 4} or not image.size:
        raise ValueError(
            f"A reference of shape {image.shape} and {image.dtype} is not (H, W, 3 or 4) of uint8."
        )
    return np.asarray(np.ascontiguousarray(image[..., :3]), np.uint8)


def _photo_of(image: Image.Image | Samples) -> GrayPhoto:
    if isinstance(image, Image.Image):
        return from_image(image)
    _require_array(image)
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"Arrays of {image.dtype} are not taken: scale them to uint8 or uint16.")
    if not image.size:
        raise ValueError(f"An array of shape {image.shape} has no pixels.")
    channels = image.shape[2] if image.ndim == 3 else 1 if image.ndim == 2 else 0
    if channels not in {1, 3, 4}:
        raise ValueError(f"An array of shape {image.shape} is not (H, W) or (H, W, 1, 3 or 4).")
    return of_array(image)


def _require_array(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"A picture of type {type(image).__name__} is not taken: give an image of Pillow's, as"
            " Image.open makes it of a file, or an array."
        )


def _image_like(image: Image.Image, photo: GrayPhoto, tint: Tint) -> Image.Image:
    """Render as Pillow's image with the ``info`` of ``image``; Pillow has no 16-bit colors."""
    if photo.gray.dtype == np.uint16:
        photo = photo.in_8_bits()
    pixels = turned_upright(render(photo, tint), photo.orientation)
    result = ColoredImage.of(Image.fromarray(pixels))
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
