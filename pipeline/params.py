"""``params.yaml``, typed: a class for each stage, each key with its range and its meaning.

The defaults are here, so that commands work outside a project too. ``params.yaml`` repeats them
with the reason for each, and a test keeps the two in step.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
)

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import ColorpipeError
from pipeline.location import Location, Url, parse_location
from pipeline.validation_errors import sentence_of

PARAMS_FILE = Path("params.yaml")
INBOX = Path("data/inbox")
"""The default of ``scrape.path``; while it is empty, data sets are downloaded."""
MOST_SEED = 2**64 - 1
"""The largest that torch's generator takes."""
_USER_INFO = re.compile(r"(\w*:?//)?[^/?#]*@")


class Section(BaseModel):
    """A section of ``params.yaml``: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


SOURCES = {
    "sample": "photos that come with scikit-image, no network needed",
    "bing": "what an image search finds for each category",
    "folder": "your own photos",
    "urls": "a list of URLs",
    "cifar10": "60,000 photos of 32 x 32 px in 10 classes",
    "places365": "scenes of 365 classes",
    "coco-sample": "fastai's sample of COCO",
    "landscapes": "Landscape Pictures of Kaggle",
}
"""Where photos come from. Each name is that of a module in :mod:`pipeline.sources`, with
underscores for dashes. It is listed here so that ``--help`` need not import an HTTP client."""
if TYPE_CHECKING:
    SourceName: TypeAlias = str
else:
    SourceName = Literal[tuple(SOURCES)]


class ScrapeParams(Section):
    """Where photos come from."""

    source: SourceName = Field(
        "sample",
        description="Where photos come from. "
        + "; ".join(f"{name}: {what}" for name, what in SOURCES.items())
        + ".",
    )
    categories: Path = Field(
        Path("cats.txt"),
        description="bing: the file with a category, or 'name: query', on each line.",
    )
    path: Location = Field(
        INBOX,
        description="folder: the folder that holds a folder for each category; urls: the text or"
        " CSV file; data sets: your copy, which is downloaded if this is the default and empty. It"
        " may be a URL.",
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="Photos to keep in each category; null keeps 100 of a search, and everything of"
        " any other source.",
    )
    search_url: str = Field(
        "https://www.bing.com/images/async",
        description="bing: the address of the image search, or of a mirror or test server.",
    )
    safe_search: bool = Field(True, description="bing: leave out adult results.")
    license: Literal[
        "any", "public", "share", "share_commercially", "modify", "modify_commercially"
    ] = Field("any", description="bing: search only for photos whose license allows this.")
    robots: bool = Field(
        True,
        description="Honor the robots.txt of photos' hosts, and X-Robots-Tag: noai or noimageai.",
    )
    user_agent: str = Field(
        "colorpipe",
        description="The user agent of downloads; append an address where you can be reached.",
    )
    timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds that one attempt at a download may take, from name to last byte.",
    )
    connect_timeout: float = Field(
        10.0, gt=0, description="Seconds that a host may take to accept a connection."
    )
    retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Attempts after the first when a server is busy or unreachable.",
    )
    max_bytes: int = Field(30_000_000, ge=1, description="Larger photos are rejected.")
    workers: int = Field(8, ge=1, le=64, description="Downloads at the same time.")
    per_host: int = Field(2, ge=1, le=64, description="Downloads at the same time from one host.")
    allow_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (host or host:port) whose addresses may be private: a mirror or a test"
        " server.",
    )

    @property
    def reads_path(self) -> bool:
        """Whether the source reads what is at ``path``."""
        return self.source not in {"sample", "bing"}

    @property
    def local_path(self) -> Path:
        """Where ``path`` is on this computer.

        Raises:
            ColorpipeError: it is a URL.
        """
        if isinstance(self.path, Url):
            raise ColorpipeError(
                f"--path (scrape.path) is {self.path}, which is not on this computer; copy what is"
                " there, and name the copy."
            )
        return self.path

    @field_validator("path", mode="before")
    @classmethod
    def _location(cls, value: object) -> object:
        if isinstance(value, str | Path):
            return parse_location(value)
        # A section that is made from another one holds what its fields are made of.
        if isinstance(value, Url | dict):
            return value
        raise ValueError("a path or a URL")

    @field_validator("search_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if _USER_INFO.match(value):
            # A type of its own: the sentence about it does not repeat the password.
            raise PydanticCustomError(
                "user_info", "an http or https address without a user name or password"
            )
        try:
            address = urllib.parse.urlsplit(value)
            usable = address.scheme in {"http", "https"} and address.hostname and address.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("an http or https address with a host")
        return value

    @field_validator("user_agent")
    @classmethod
    def _header(cls, value: str) -> str:
        if not (value.strip() and value.isascii() and value.isprintable()):
            raise ValueError("a name in printable ASCII characters")
        return value


class CleanParams(Section):
    """Which photos are fit to learn colors from. A threshold of null is not checked."""

    max_pixels: int = Field(
        100_000_000, ge=1, description="A photo of more pixels is dropped before it is decoded."
    )
    animated: Literal["first", "drop"] = Field(
        "drop", description="Animations: keep the first frame, or drop them."
    )
    min_side: int | None = Field(
        64, ge=1, description="Drop small photos: the shorter side has at least this many pixels."
    )
    max_aspect: float | None = Field(
        3.0,
        ge=1,
        description="Drop banners and panoramas: the longer side is at most this many times the"
        " shorter.",
    )
    min_contrast: float | None = Field(
        25.0,
        ge=0,
        le=255,
        description="Drop blank photos: the 98th percentile of luma is at least this far above the"
        " 2nd (0 to 255).",
    )
    min_highlight: float | None = Field(
        30.0,
        ge=0,
        le=255,
        description="Drop dark photos: the 98th percentile of luma is at least this (0 to 255).",
    )
    max_shadow: float | None = Field(
        200.0,
        ge=0,
        le=255,
        description="Drop washed-out photos: the 2nd percentile of luma is at most this (0 to"
        " 255).",
    )
    min_chroma_spread: float | None = Field(
        1.2,
        ge=0,
        description="Drop gray, sepia and tinted photos: CIE a* and b* vary at least this much"
        " among pixels of the same lightness (standard deviation).",
    )
    min_sharpness: float | None = Field(
        0.33,
        ge=0,
        le=1,
        description="Drop blurred photos: another blur would take away at least this share of the"
        " fine detail (0 to 1).",
    )
    max_flatness: float | None = Field(
        0.5,
        ge=0,
        le=1,
        description="Drop drawings, clip art and screenshots: at most this share consists of even"
        " areas of few levels (0 to 1).",
    )
    drop_duplicates: bool = Field(
        True, description="Keep only the largest of photos that are duplicates."
    )
    duplicate_distance: int | None = Field(
        6,
        ge=0,
        le=32,
        description="Photos are duplicates if their perceptual hashes differ in at most this many"
        " of 64 bits; null: only if their pixels are equal.",
    )


class ResizeParams(Section):
    """The size and shape of the tiles that networks learn from."""

    size: int = Field(200, ge=16, le=4096, description="Width and height in pixels.")
    mode: Literal["crop", "stretch", "pad"] = Field(
        "crop",
        description="crop: the middle square; stretch: the whole photo, its aspect ratio changed;"
        " pad: the whole photo on black.",
    )


class SplitParams(Section):
    """Which photos are held out for validation and test."""

    test_per_category: int = Field(10, ge=1, description="Test photos of each category.")
    val_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="The share of the other photos that is for validation (val_x, val_y); 0: none.",
    )
    group_distance: int = Field(
        10,
        ge=0,
        le=32,
        description="Photos stay on one side if their perceptual hashes differ in at most this many"
        " of 64 bits.",
    )
    seed: int = Field(0, ge=0, description="Another seed draws another test set.")


RecipeName = Literal[
    "colorpipe",
    "landscape-rgb",
    "dilated-unet",
    "heartbeat",
    "pix2pix",
    "cyclegan",
    "unet",
    "cgan",
    "cgan-pretrained",
    "dcgan",
]
"""What can be trained. Each name is that of a module in :mod:`pipeline.recipes`. It is listed here
so that ``--help`` need not import torch."""
PresetName = Literal["from-scratch", "fine-tune"]
DeviceName = Literal["auto", "cuda", "mps", "cpu"]
PrecisionName = Literal["auto", "bfloat16", "float32"]
RuntimeName = Literal["auto", "torch", "onnx"]
Device = Annotated[
    DeviceName,
    Field(description="Where to compute. auto prefers CUDA, then MPS, then the CPU."),
]
"""A key that several sections have."""
MetricName = Literal[
    "balanced",
    "ciede2000",
    "colorfulness_ratio",
    "colorfulness_ratio_absolute",
    "psnr",
    "ssim",
]


class TrainParams(Section):
    """What is trained, and how long. A hyper-parameter left null has the value of the preset."""

    recipe: RecipeName = Field(
        "colorpipe", description="What to train; `colorpipe recipes` describes them."
    )
    preset: PresetName | None = Field(
        None,
        description="The recipe's values for hyper-parameters that are null here: from-scratch,"
        " those for fresh weights; fine-tune, those for a start from trained ones, such as fewer"
        " epochs at a lower rate. null takes the preset that suits init.",
    )
    init: str | None = Field(
        None,
        description="What training starts from: scratch; pretrained, the weights that come with"
        " colorpipe; or a file of weights of the same recipe and network. null takes what suits"
        " the preset; if that is null too, the recipe colorpipe is fine-tuned from pretrained and"
        " all others start from scratch.",
    )
    epochs: int | None = Field(None, ge=1, description="Passes over the training photos.")
    batch_size: int | None = Field(None, ge=1, description="Photos in a step.")
    size: int | None = Field(
        None, ge=32, le=1024, description="Side of the training pictures in pixels."
    )
    learning_rate: float | None = Field(None, gt=0, description="The generator's learning rate.")
    seed: int = Field(
        0, ge=0, le=MOST_SEED, description="Draws other initial weights, crops and orders."
    )
    options: dict[str, float | int | bool | str | dict[str, float]] = Field(
        {}, description="Any other hyper-parameter of the recipe, by its name."
    )
    keep: Literal["last", "best"] | None = Field(
        None,
        description="Which weights to keep: those of the last epoch, or the best on the validation"
        " photos, trained weights that training started from included. null keeps the best where"
        " there are validation photos, and the last otherwise.",
    )
    metric: MetricName = Field(
        "balanced",
        description="The metric that the best weights are best in; balanced weighs CIEDE2000 by"
        " colorfulness: CIEDE2000 x (1 + |1 - colorfulness ratio|).",
    )
    samples: int = Field(
        6, ge=0, le=64, description="Validation photos on the contact sheet of every epoch."
    )
    device: Device = "auto"
    precision: PrecisionName = Field(
        "auto", description="Type of the arithmetic. auto takes bfloat16 where it is faster."
    )
    compile: bool = Field(
        False, description="Compile the networks (torch.compile): a slow start, then faster steps."
    )

    @field_validator("options", mode="before")
    @classmethod
    def _none_given(cls, value: object) -> object:
        # A mapping of which every key is commented out reads as None.
        return {} if value is None else value


class EvaluateParams(Section):
    """How a model is evaluated."""

    gallery: int = Field(24, ge=1, description="Test photos on the contact sheet.")
    resamples: int = Field(
        2000, ge=100, le=100_000, description="Bootstrap resamples for each interval."
    )
    seed: int = Field(0, ge=0, description="Seed of the bootstrap.")
    recognition: bool = Field(
        True,
        description="Whether a classifier says what it recognizes, where it is installed. It takes"
        " longer than all else.",
    )
    inception: str = Field(
        "none",
        description="The Inception network for FID and KID: the path of inception-2015-12-05.pt,"
        " 'download' to fetch it (91 MB, once), or 'none' to skip both metrics.",
    )
    device: Device = "auto"


class ColorizeParams(Section):
    """How photos are colorized."""

    strength: float = Field(
        1.0, ge=0, le=1.5, description="Factor on the colors: 0 is gray, 1 as predicted."
    )
    size: int | None = Field(
        None,
        ge=32,
        le=2048,
        description="Side in pixels of the picture that the network sees; null is the model's own.",
    )
    tta: bool = Field(
        False,
        description="Test-time augmentation: average over the photo and its mirror image, in twice"
        " the time.",
    )
    device: Device = "auto"
    runtime: RuntimeName = Field(
        "auto",
        description="What runs the network: torch, or onnx for ONNX Runtime and the file that"
        " `colorpipe export --onnx` wrote beside the model. auto goes by the model's extension.",
    )


class Params(Section):
    """The whole of ``params.yaml``."""

    scrape: ScrapeParams = Field(default_factory=ScrapeParams)
    clean: CleanParams = Field(default_factory=CleanParams)
    resize: ResizeParams = Field(default_factory=ResizeParams)
    split: SplitParams = Field(default_factory=SplitParams)
    train: TrainParams = Field(default_factory=TrainParams)
    evaluate: EvaluateParams = Field(default_factory=EvaluateParams)
    colorize: ColorizeParams = Field(default_factory=ColorizeParams)


P = TypeVar("P", bound=Section)


class _NoKeyTwice(yaml.SafeLoader):
    """PyYAML would take the last of several values of a key without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_params(path: Path = PARAMS_FILE, *, required: bool = False, only: str = "") -> Params:
    """Read a file of parameters; if it is missing, return the defaults, unless it is ``required``.

    With ``only``, read that section alone: the others may be another project's.

    Raises:
        ColorpipeError: the file is missing or no YAML, or a key or a value is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if required:
            raise ColorpipeError(f"There is no file of parameters {path}.") from error
        return Params()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ColorpipeError(
            f"{path} could not be read as a file of parameters ({reason}); repair it, or name"
            " another one with --params."
        ) from error
    try:
        content = _NoKeyTwice(text).get_single_data()
    # A date that does not exist is a ValueError.
    except (yaml.YAMLError, ValueError) as error:
        raise ColorpipeError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict | None):
        raise ColorpipeError(f"{path} must hold sections such as 'train:', each with its keys.")
    # A section of which every key is commented out reads as None.
    sections = {key: {} if value is None else value for key, value in (content or {}).items()}
    if only:
        sections = {only: sections.get(only, {})}
    return validate(Params, sections, str(path))


def override(section: P, values: Mapping[str, Any]) -> P:
    """Return ``section`` with ``values`` from the command line instead of its own.

    Of a mapping, only the keys in ``values`` are replaced.

    Raises:
        ColorpipeError: a value is not allowed; the sentence names its option.
    """
    if not values:
        return section
    merged = section.model_dump()
    for key, value in values.items():
        merged[key] = {**merged[key], **value} if isinstance(value, Mapping) else value
    try:
        return type(section).model_validate(merged)
    except ValidationError as error:
        sentence = sentence_of(type(section), error.errors()[0], are_options=True)
        raise ColorpipeError(sentence) from error


def validate(model: type[P], content: Mapping[Any, Any], origin: str) -> P:
    """Build ``model`` from ``content``, or say in a sentence which key of ``origin`` is wrong.

    Raises:
        ColorpipeError: the first key that is unknown or has a value that is not allowed.
    """
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        raise ColorpipeError(f"{origin}: {sentence_of(model, error.errors()[0])}") from error
