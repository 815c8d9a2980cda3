"""The table of subcommands: what each is called, takes and runs.

The work itself is done in ``stages``, which a command imports when it runs: ``--help`` and a
misspelled option answer at once.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pipeline import __version__
from pipeline.cli.exits import errors_as_sentences
from pipeline.cli.stage_options import completion, stage_command
from pipeline.engines.choice import ENGINES, open_engine
from pipeline.errors import ColorpipeError, Failure, needs_extra
from pipeline.imaging.kinds import WRITTEN
from pipeline.location import Url, parse_location
from pipeline.params import (
    SOURCES,
    CleanParams,
    ColorizeParams,
    EvaluateParams,
    ResizeParams,
    ScrapeParams,
    SplitParams,
    TrainParams,
)
from pipeline.video.settings import CODECS, STEADY, Encoding, FilmSettings

RAW, CLEAN, RESIZED, SPLIT = (Path("data") / name for name in ("raw", "clean", "resized", "split"))
MODEL = Path("models/generator.safetensors")
REPORTS, SPLIT_LOCK = Path("reports"), Path("split.lock")
WEIGHTS = (
    "The generator's weights: a file, the name of a recipe that was trained in this folder, or"
    f" 'pretrained', the weights that come with colorpipe. The default is {MODEL}, and the"
    " pretrained weights if there is no such file."
)
_FILMS = "Films"
_MACHINES = "Machines (not in params.yaml: the result is the same)"
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar=f"[{'|'.join(ENGINES)}]",
        help="What the work is spread over: the cores of this machine, or a Ray cluster.",
        autocompletion=completion(ENGINES),
        rich_help_panel=_MACHINES,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Where Ray is: auto for the cluster that this machine belongs to, ray://HOST:10001 for"
        " another. The default is a Ray of this machine alone.",
        show_default=False,
        rich_help_panel=_MACHINES,
    ),
]

app = typer.Typer(
    name="colorpipe",
    help="Color black-and-white photos and films, and rebuild the pipeline behind that: scrape a"
    " dataset, clean it, train a GAN, evaluate it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line and exit with its code."""
    # A name that the output's encoding lacks must not end a command after its work is done.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="colorpipe")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"colorpipe {__version__}")
        raise typer.Exit


@app.callback()
def common_options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of every subcommand."""
    del version
    context.obj = debug


_PLACE = "PATH|URL"


def _source_of(file: ScrapeParams, given: Collection[str]) -> dict[str, str]:
    """The source that reads what is given on the command line, where no source is.

    Only a search reads the categories, and neither it nor the sample reads a path.
    """
    if "categories" in given:
        return {"source": "bing"}
    return {"source": "folder"} if "path" in given and not file.reads_path else {}


@stage_command(app, ScrapeParams, extra="scrape", implied=_source_of)
def scrape(
    params: ScrapeParams,
    raw: Annotated[str, typer.Option(metavar=_PLACE, help="The folder for the photos.")] = str(RAW),
) -> Sequence[Failure]:
    """Find photos of each category and store their bytes as found."""
    from pipeline.locations.staging import Staging
    from stages.scrape import scrape as run

    with Staging() as staging:
        out = staging.published(raw, "--raw", near=[params.path])
        if params.reads_path:
            params = params.model_copy(update={"path": staging.fetched(params.path)})
        return staging.finish(run(out, params))


@stage_command(app, CleanParams)
def clean(
    params: CleanParams,
    *,
    raw: Annotated[str, typer.Option(metavar=_PLACE, help="The scraped photos.")] = str(RAW),
    out: Annotated[
        str, typer.Option("--clean", metavar=_PLACE, help="The folder for the clean photos.")
    ] = str(CLEAN),
    report: Annotated[
        Path, typer.Option(help="The table of what was kept and what was dropped, and why.")
    ] = REPORTS / "clean.csv",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be dropped, and write nothing.")
    ] = False,
    engine: Engine = "local",
    address: Address = None,
) -> Sequence[Failure]:
    """Convert photos to upright sRGB; drop duplicates and what is no use for training."""
    from pipeline.locations.staging import Staging
    from stages.clean import clean as run

    with Staging() as staging, open_engine(engine, address) as where:
        if dry_run:
            photos = staging.fetched(raw)
            return staging.finish(run(photos, Path(), report, params, dry_run=True, engine=where))
        target = staging.published(out, "--clean", near=[raw])
        return staging.finish(run(staging.fetched(raw), target, report, params, engine=where))


@stage_command(app, ResizeParams)
def resize(
    params: ResizeParams,
    clean: Annotated[str, typer.Option(metavar=_PLACE, help="The clean photos.")] = str(CLEAN),
    out: Annotated[
        str, typer.Option("--resized", metavar=_PLACE, help="The folder for the squares.")
    ] = str(RESIZED),
    engine: Engine = "local",
    address: Address = None,
) -> Sequence[Failure]:
    """Bring every photo to one square size."""
    from pipeline.locations.staging import Staging
    from stages.resize import resize as run

    with Staging() as staging, open_engine(engine, address) as where:
        target = staging.published(out, "--resized", near=[clean])
        return staging.finish(run(staging.fetched(clean), target, params, engine=where))


@stage_command(app, SplitParams)
def split(
    params: SplitParams,
    *,
    resized: Annotated[str, typer.Option(metavar=_PLACE, help="The resized photos.")] = str(
        RESIZED
    ),
    out: Annotated[
        str,
        typer.Option("--split", metavar=_PLACE, help="The folder for the pairs of gray and color."),
    ] = str(SPLIT),
    manifest: Annotated[
        str,
        typer.Option(
            metavar=_PLACE,
            help="The table of origins: photos from one web page stay on one side.",
        ),
    ] = str(RAW / "manifest.csv"),
    lock: Annotated[
        Path, typer.Option(help="The file that keeps test photos the same when photos are added.")
    ] = SPLIT_LOCK,
    engine: Engine = "local",
    address: Address = None,
) -> Sequence[Failure]:
    """Divide photos into training, validation and test, each with its gray copy."""
    from pipeline.locations.staging import Staging
    from stages.split import split as run

    with Staging() as staging, open_engine(engine, address) as where:
        target = staging.published(out, "--split", near=[resized, manifest])
        origins = staging.fetched(manifest, optional=True)
        photos = staging.fetched(resized)
        return staging.finish(
            run(photos, target, params, manifest=origins, lock=lock, engine=where)
        )


@stage_command(app, TrainParams, extra="train")
def train(
    params: TrainParams,
    data: Annotated[Path, typer.Option("--split", help="The split photos.")] = SPLIT,
    model: Annotated[Path, typer.Option(help="The file for the generator's weights.")] = MODEL,
    curves: Annotated[Path, typer.Option(help="The folder for the loss curves.")] = REPORTS
    / "plots"
    / "train",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every hyper-parameter and train nothing.")
    ] = False,
) -> None:
    """Train a recipe on the split photos; a run that was stopped resumes."""
    if dry_run:
        from pipeline.training.plan import as_params_file, plan_of

        print(as_params_file(plan_of(params)), end="")
        return
    from stages.train import train as run

    run(data, model, curves, params)


@stage_command(app, EvaluateParams, extra="train")
def evaluate(
    params: EvaluateParams,
    *,
    data: Annotated[Path, typer.Option("--split", help="The split photos.")] = SPLIT,
    model: Annotated[
        list[Path] | None,
        typer.Option(help=f"{WEIGHTS} Repeat the option to compare several.", show_default=False),
    ] = None,
    reports: Annotated[
        Path, typer.Option(help="The folder for metrics, pictures and report.html.")
    ] = REPORTS / "evaluate",
    curves: Annotated[
        Path, typer.Option(help="The loss curves, for report.html; left out if they are missing.")
    ] = REPORTS / "plots" / "train",
    clean_report: Annotated[
        Path, typer.Option(help="The table of `clean`, for report.html; left out if it is missing.")
    ] = REPORTS / "clean.csv",
) -> None:
    """Colorize the test photos and compare them with the ground truth."""
    from stages.evaluate import evaluate as run

    run(data, model or None, reports, params, curves=curves, clean_report=clean_report)


@stage_command(app, ColorizeParams, ignore_others=True)
def colorize(
    params: ColorizeParams,
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A photo, a film, or a folder of them; or its URL.")
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="The folder to write to, or its URL; for one photo or film also the name of a"
            " file.",
        ),
    ],
    *,
    model: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help=f"The file format to write: {', '.join(WRITTEN)}. The default is that of the"
            " photo.",
            autocompletion=completion(WRITTEN),
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that already exist in OUT.")
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Skip photos and films whose results already exist in OUT."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="A file for what became of each photo: a line of JSON each, which --skip-existing"
            " adds to, or for *.html a page with a gallery.",
            show_default=False,
        ),
    ] = None,
    keep_names: Annotated[
        bool,
        typer.Option("--keep-names", help="Keep extensions that do not match a file's content."),
    ] = False,
    label: Annotated[
        bool,
        typer.Option(
            "--label",
            help="Write into XMP and EXIF, or a film's comment, that the colors are a guess, and by"
            " which model.",
        ),
    ] = False,
    hint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y=COLOR",
            help="The color of a place of the photo, such as 120,340=#3a6b35 or navy: pixels from"
            " the left and the top of the upright photo; X,Y,RADIUS=COLOR for more than the place."
            " Repeat it for more places.",
            show_default=False,
        ),
    ] = None,
    hints: Annotated[
        Path | None,
        typer.Option(
            help="A file of hints in JSON. Without --hint and --hints, photo.jpg has those in"
            " photo.jpg.hints.json beside it.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO",
            help="A color photo: things that both photos show get its colors.",
            show_default=False,
        ),
    ] = None,
    steady: Annotated[
        float,
        typer.Option(
            help="How much the frames before and after count, from 0, each frame by itself, to 1.",
            rich_help_panel=_FILMS,
        ),
    ] = STEADY,
    codec: Annotated[
        str | None,
        typer.Option(
            help=f"The encoder: {', '.join(CODECS)}; source is the film's own codec. The default is"
            " libx264, and libvpx-vp9 for .webm.",
            autocompletion=completion(CODECS),
            show_default=False,
            rich_help_panel=_FILMS,
        ),
    ] = None,
    crf: Annotated[
        float | None,
        typer.Option(
            help="The encoder's quality scale (CRF): lower is better, and a larger file.",
            show_default=False,
            rich_help_panel=_FILMS,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="The encoder's trade-off of speed for size: fast, slow, ...",
            show_default=False,
            rich_help_panel=_FILMS,
        ),
    ] = None,
    start: Annotated[
        float,
        typer.Option(help="Seconds to leave out at the beginning.", rich_help_panel=_FILMS),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            help="Seconds to colorize, to try it out; the default is to the end.",
            show_default=False,
            rich_help_panel=_FILMS,
        ),
    ] = None,
    deinterlace: Annotated[
        bool,
        typer.Option(
            "--deinterlace",
            help="Deinterlace: remove the combing of old television recordings.",
            rich_help_panel=_FILMS,
        ),
    ] = False,
    engine: Engine = "local",
    address: Address = None,
) -> Sequence[Failure]:
    """Colorize photos and films; size, tones, sound and metadata stay as they are.

    A URL begins with s3://, gs:// or az://, and one of a photo to read also with https://.
    """
    from pipeline.inference.hints import parse_hint, read_hints

    if codec is not None and codec not in CODECS:
        raise ColorpipeError(f"--codec is '{codec}', but must be one of {', '.join(CODECS)}.")
    from stages.colorize import colorize as run

    try:
        films = FilmSettings(Encoding(codec, crf, preset), steady, start, duration, deinterlace)
    except ValueError as error:
        raise ColorpipeError(f"--{error}") from error
    with open_engine(engine, address) as where:
        return run(
            parse_location(source),
            parse_location(out),
            model,
            params,
            format=cast(Any, format),  # The stage names those it knows.
            overwrite=overwrite,
            skip_existing=skip_existing,
            report=report,
            keep_names=keep_names,
            label=label,
            films=films,
            hints=(
                *(read_hints(hints) if hints is not None else ()),
                *(parse_hint(text) for text in hint or ()),
            ),
            reference=reference,
            engine=where,
        )


@app.command()
def export(
    context: typer.Context,
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="Write an ONNX file: ONNX Runtime colorizes without PyTorch."),
    ] = False,
    half: Annotated[
        bool,
        typer.Option(
            "--half",
            help="Write the weights in half precision: half the size, to share; needs --out.",
        ),
    ] = False,
    model: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write. The default for ONNX is *.onnx beside the model, and"
            " models/colorpipe.onnx for the weights that come with colorpipe.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Export the network: for ONNX Runtime, or in half precision."""
    with errors_as_sentences(debug=bool(context.obj)):
        if onnx == half:
            raise ColorpipeError("An export has one format; give either --onnx or --half.")
        # Beside the model it would be a second file of its recipe, and neither the default.
        if half and out is None:
            raise ColorpipeError("--half needs --out, the file for the weights in half precision.")
        from pipeline.models.resolve import export_of, find_model, require_export_name

        if out is not None:
            require_export_name(out, ".safetensors" if half else ".onnx")
        weights = find_model(model, "torch")
        target = out or export_of(weights)
        if half:
            from pipeline.models.weights import halve

            halve(weights, target)
            print(f"The weights in half precision are in {target}.")
        else:
            from pipeline.models.export import export_onnx

            export_onnx(weights, target)
            print(f"The network is in {target}; `colorpipe colorize --model {target}` uses it.")


@app.command("app")
def page(
    context: typer.Context,
    model: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    host: Annotated[
        str,
        typer.Option(help="The address to serve at; 0.0.0.0 is for everybody who reaches it."),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="The port. The default is 7860, or the next one that is free.",
            show_default=False,
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve a page to color photos on: drop one, click a color, download the result."""
    with errors_as_sentences(debug=bool(context.obj)):
        from pipeline.app.server import serve

        with needs_extra("app", "The page"):
            serve(model, host, port, open_browser=open_browser)


@app.command("list")
def list_objects(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="A folder of object storage.")],
    table: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")],
) -> None:
    """Write a table of the objects behind a URL: a small file that DVC can keep track of."""
    with errors_as_sentences(debug=bool(context.obj)):
        from pipeline.locations.folders import save_listing

        location = parse_location(url)
        if not isinstance(location, Url):
            raise ColorpipeError(
                f"{url} is no URL; DVC itself keeps track of folders on this computer."
            )
        save_listing(location, table)


@app.command()
def recipes() -> None:
    """List what can be trained: origin, losses, size and settings of each recipe."""
    from rich.console import Console
    from rich.table import Table

    from pipeline.training.plan import describe_recipes

    table = Table(title="Recipes", show_lines=True)
    for column in ("recipe", "origin", "colors: losses", "settings"):
        table.add_column(column, overflow="fold")
    # Few columns, of several lines: nine would not fit a terminal of 80 characters.
    for row in describe_recipes():
        table.add_row(
            row["recipe"],
            row["origin"],
            f"{row['colors']}: {row['losses']}",
            f"{row['input']}, {row['generator']} weights\n{row['epochs']} epochs, batch"
            f" {row['batch']}, rate {row['rate']}\nstart: {row['start']}",
        )
    Console().print(table)


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder of the project.")] = Path(),
    source: Annotated[
        str | None,
        typer.Option(
            help=f"Where its photos come from: {', '.join(SOURCES)}. On a terminal it is asked for,"
            " elsewhere it is the sample, or the folder that --path names.",
            autocompletion=completion(list(SOURCES)),
            show_default=False,
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The folder, list of URLs or copy of a data set that the source reads. The default"
            " is data/inbox.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a project: the whole pipeline in a folder of its own, in git and DVC."""
    with errors_as_sentences(debug=bool(context.obj)):
        from pipeline.project.scaffold import create_project, missing_ignores

        place = None if path is None else parse_location(path)
        if isinstance(place, Url):
            raise ColorpipeError(
                f"--path is {place}, but a project reads from this computer; name a folder here,"
                " or make the project without --path and take the pipeline of docs/cloud.md."
            )
        usual = "sample" if place is None else "folder"
        if source is None and sys.stdin.isatty() and not (folder / "dvc.yaml").exists():
            source = typer.prompt(f"Photos come from ({', '.join(SOURCES)})", default=usual)
        elif source is None and place is not None:
            source = usual
        if source is not None and source not in SOURCES:
            raise ColorpipeError(
                f"--source is '{source}', but must be one of {', '.join(SOURCES)}."
            )
        written = create_project(folder, source, None if place is None else place.absolute())
        if not written:
            print(f"{folder} is a project already; nothing was changed.")
            return
        print(f"Written in {folder}: {', '.join(written)}.")
        if missing := missing_ignores(folder):
            print(
                f"{folder / '.gitignore'} was there already. Add these lines to it, or git takes"
                " what the pipeline makes:",
                *missing,
                sep="\n",
            )
        if place is not None and not place.exists():
            print(f"There is no {place} yet; the first stage stops until there is.")
        where = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
        print(f"Run the pipeline with: {where}dvc repro")


@app.command()
def doctor(context: typer.Context) -> None:
    """Say what is installed, which device is used and why, and what is missing."""
    with errors_as_sentences(debug=bool(context.obj)):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from pipeline.project.doctor import examine

        table = Table.grid(padding=(0, 2))
        for finding in examine():
            # Extras stand in brackets, which are markup elsewhere. Of paths nothing is cut off.
            found = Text(finding.found, overflow="fold")
            table.add_row(finding.what, found, style="" if finding.good else "yellow")
        Console().print(table)
