"""Features of the Inception network that FID and KID are defined by.

The file is ``inception-2015-12-05.pt``, a TorchScript translation of TensorFlow's network of that
name, published with StyleGAN2-ADA (Karras et al. 2020) and used by it and its successors. It takes
RGB photos of any size, uint8, and scales them to 299 px itself (bilinear, as TensorFlow 1 did).
Nothing is scaled before it. clean-fid scales with an antialiasing filter first, so that its figures
are not comparable.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import torch
from numpy.typing import NDArray

from pipeline.errors import ColorpipeError
from pipeline.imaging.decode import RGB

INCEPTION_URL = (
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/"
    "inception-2015-12-05.pt"
)
# As k-diffusion (evaluation.py), Stable Diffusion evaluators and others that check it have it.
INCEPTION_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"

CACHE = Path(".colorpipe/inception")

FEW_PHOTOS = 1000
"""Of fewer photos FID is mostly bias: it depends on their number more than on their colors."""


@dataclass(frozen=True)
class Inception:
    """The network, ready to compute features."""

    module: Any
    """A TorchScript module: uint8 (N, 3, H, W) to (N, features)."""
    device: torch.device
    file: str
    """Which file it is, for reports: name and hash."""

    def features(self, photos: Sequence[RGB]) -> NDArray[np.float32]:
        """Return the features (N, 2048) of photos (H, W, 3) of one size, before the classifier."""
        pixels = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).to(self.device)
        with torch.inference_mode():
            found = self.module(pixels, return_features=True)
        return np.asarray(found.float().cpu().numpy(), np.float32)


def load_inception(path: Path, device: torch.device) -> Inception:
    """Load the network from a file, and check that it gives features.

    Raises:
        ColorpipeError: the file is missing, or is not such a network.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ColorpipeError(
            f"FID and KID need the Inception network, but {path} cannot be read"
            f" ({error.strerror}); get the file from {INCEPTION_URL}, or leave out --inception."
        ) from error
    try:
        load: Callable[..., Any] = torch.jit.load
        module = load(path, map_location=device).eval()
        inception = Inception(module, device, _described(path, digest))
        shape = inception.features([np.zeros((64, 64, 3), np.uint8)]).shape
    # TorchScript reports what is wrong with a file, or with a module that takes other arguments,
    # as RuntimeError or ValueError.
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise ColorpipeError(
            f"{path} is not the TorchScript file inception-2015-12-05.pt, or it is damaged; get it"
            f" from {INCEPTION_URL}."
        ) from error
    if len(shape) != 2:
        raise ColorpipeError(f"{path} does not give a row of features a photo, but {shape}.")
    return inception


def fetch_inception(
    folder: Path = CACHE, url: str = INCEPTION_URL, sha256: str = INCEPTION_SHA256
) -> Path:
    """Return the published file, from ``folder`` when it is there and whole, else fetch it (91 MB).

    Raises:
        ColorpipeError: it cannot be downloaded, or is not the published file.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        return Path(
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=Path(url).name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        )
    except (OSError, ValueError) as error:
        # requests' errors are OSErrors; pooch reports a wrong hash as ValueError.
        reason = "the server sent another file" if isinstance(error, ValueError) else _cause(error)
        raise ColorpipeError(
            f"FID and KID need the Inception network, which could not be fetched from {url}"
            f" ({reason}); put the file anywhere and name it with --inception PATH, or leave out"
            " --inception."
        ) from error


def _cause(error: Exception) -> str:
    """Why requests or the disk failed, without the long address that requests' messages repeat."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code}"
    return getattr(error, "strerror", None) or "there is no connection to the server"


def _described(path: Path, digest: str) -> str:
    known = "" if digest == INCEPTION_SHA256 else ", not the published file"
    return f"{path.name} (sha256 {digest[:12]}{known})"
