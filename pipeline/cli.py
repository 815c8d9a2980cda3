"""The command line: a subcommand a stage, its options made from the stage's parameters.

The only module that knows Typer. Every key of a section of ``params.yaml`` is an option of its
subcommand; one that is given wins over the file for that run, and ``--params`` names another file.
What a command does stands in ``stages``, which is imported when the command runs, so that
``--help`` and a misspelt option answer at once.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin

import typer

import pipeline
from pipeline.errors import ColorpipeError, Failure, StoppedError
from pipeline.params import (
    PARAMS_FILE,
    CleanParams,
    ColorizeParams,
    EvaluateParams,
    Params,
    ResizeParams,
    ScrapeParams,
    Section,
    SplitParams,
    TrainParams,
    override,
    read_params,
)

DONE, SOME_FAILED, NOTHING_DONE, STOPPED = 0, 1, 2, 130
"""Exit codes."""

RAW, CLEAN, RESIZED, SPLIT = (Path("data") / name for name in ("raw", "clean", "resized", "split"))
MODEL = Path("models/generator.safetensors")
REPORTS, SPLIT_LOCK = Path("reports"), Path("split.lock")
WEIGHTS = (
    "The generator's weights: a file, the name of a recipe that was trained here, or 'pretrained',"
    f" for those that ship with colorpipe; else {MODEL}, or where there is none, those that ship."
)

PARAMS_PANEL = "In place of params.yaml, for this run"
PARAMS_OPTION = typer.Option(
    "--params",
    metavar="FILE",
    help="Another file of parameters; what it leaves out has its default.",
    rich_help_panel=PARAMS_PANEL,
)

app = typer.Typer(
    name="colorpipe",
    help="Black-and-white photos to color: a dataset, a GAN and a pipeline anyone can rebuild.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"colorpipe {pipeline.__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Options of every subcommand."""
    del version
    context.obj = debug


def _command(section: type[Section]) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a subcommand of a function whose first argument is ``params``, a ``section``.

    In the place of ``params`` the subcommand has an option for each key. Values stay strings here:
    pydantic is the one to check them, whether they come from the file or from the command line.
    A function whose last argument is ``others`` is given the file's other sections as well.
    """

    def register(function: Callable[..., Any]) -> Callable[..., None]:
        name = function.__name__

        @functools.wraps(function)
        def run(context: typer.Context, params_file: Path | None, **arguments: Any) -> None:
            given = {
                key: value
                for key in section.model_fields
                if (value := arguments.pop(key, None)) not in (None, [])
            }
            # Only a search has categories to look for.
            if "categories" in given:
                given.setdefault("source", "bing")
            with _errors_as_sentences(debug=bool(context.obj)):
                for key, value in given.items():
                    kind = section.model_fields[key].annotation
                    if value == "null" and type(None) in get_args(kind):
                        given[key] = None
                    elif get_origin(kind) is dict:
                        from pipeline.key_values import key_values

                        given[key] = key_values(key, value)
                named = params_file is not None
                # Photos are anywhere: beside them params.yaml may be another project's.
                only = name if section is ColorizeParams and not named else ""
                file = read_params(params_file or PARAMS_FILE, required=named, only=only)
                params = override(getattr(file, name), given)
                _finish(function(params, **arguments, **({"others": file} if asks else {})))

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        if asks := bool(own) and own[-1].name == "others":
            own.pop()
        keyword = inspect.Parameter.KEYWORD_ONLY
        path = Annotated[Path | None, PARAMS_OPTION]
        parameters = [
            inspect.Parameter("context", keyword, annotation=typer.Context),
            inspect.Parameter("params_file", keyword, default=None, annotation=path),
        ]
        parameters += [p.replace(kind=keyword) for p in own]
        parameters += [_option(key, section) for key in section.model_fields]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name)(run)
        return run

    return register


def _option(key: str, section: type[Section]) -> inspect.Parameter:
    """The option that stands for one key of a section; not given, it is None."""
    field = section.model_fields[key]
    flag = key.replace("_", "-")
    kinds: list[Any] = [field.annotation, *get_args(field.annotation)]
    choices = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    declaration, annotation, metavar = f"--{flag}", str, "TEXT"
    if field.annotation is bool:
        declaration, annotation, metavar = f"--{flag}/--no-{flag}", bool, None  # type: ignore[assignment]
    elif get_origin(field.annotation) is tuple:
        annotation = list[str]  # type: ignore[assignment]
    elif get_origin(field.annotation) is dict:
        annotation, metavar = list[str], "KEY=VALUE"  # type: ignore[assignment]
    elif choices:
        metavar = "[" + "|".join(choices) + "]"
    elif int in kinds or float in kinds:
        metavar = "INTEGER" if int in kinds else "FLOAT"
    elif Path in kinds:
        metavar = "PATH"
    option = typer.Option(
        declaration,
        help=field.description,
        metavar=metavar,
        show_default=False,
        rich_help_panel=PARAMS_PANEL,
    )
    return inspect.Parameter(
        key,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation | None, option],
    )


@contextlib.contextmanager
def _errors_as_sentences(debug: bool) -> Iterator[None]:
    """Turn an expected error into one sentence on standard error and its exit code."""
    try:
        yield
    except (ColorpipeError, OSError, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        stopped = isinstance(error, (StoppedError, KeyboardInterrupt))
        print(f"colorpipe: {str(error) or 'Stopped.'}", file=sys.stderr)
        raise typer.Exit(STOPPED if stopped else NOTHING_DONE) from error


def _finish(failures: Sequence[Failure] | None) -> None:
    """Name every input that failed and choose the exit code."""
    for failure in failures or ():
        print(f"colorpipe: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(SOME_FAILED)


@_command(ScrapeParams)
def scrape(
    params: ScrapeParams,
    raw: Annotated[Path, typer.Option(help="Where the photos go.")] = RAW,
) -> Sequence[Failure]:
    """Find photos of each category and keep their bytes as found."""
    from stages.scrape import scrape as run

    return run(raw, params)


@_command(CleanParams)
def clean(
    params: CleanParams,
    raw: Annotated[Path, typer.Option(help="The scraped photos.")] = RAW,
    out: Annotated[Path, typer.Option("--clean", help="Where clean photos go.")] = CLEAN,
    report: Annotated[Path, typer.Option(help="The table of decisions.")] = REPORTS / "clean.csv",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the decisions and write nothing.")
    ] = False,
    *,
    others: Params,
) -> Sequence[Failure]:
    """Make every photo upright sRGB; drop what is no photo, gray or a duplicate."""
    from stages.clean import clean as run

    return run(raw, out, report, params, square=others.resize, dry_run=dry_run)


@_command(ResizeParams)
def resize(
    params: ResizeParams,
    clean: Annotated[Path, typer.Option(help="The clean photos.")] = CLEAN,
    out: Annotated[Path, typer.Option("--resized", help="Where the squares go.")] = RESIZED,
) -> Sequence[Failure]:
    """Bring every photo to one square size."""
    from stages.resize import resize as run

    return run(clean, out, params)


@_command(SplitParams)
def split(
    params: SplitParams,
    resized: Annotated[Path, typer.Option(help="The resized photos.")] = RESIZED,
    out: Annotated[Path, typer.Option("--split", help="Where the folders of pairs go.")] = SPLIT,
    manifest: Annotated[
        Path, typer.Option(help="Says which photos come from one page; they stay on one side.")
    ] = RAW / "manifest.csv",
    lock: Annotated[
        Path, typer.Option(help="Which photos are tested with; kept when photos are added.")
    ] = SPLIT_LOCK,
) -> Sequence[Failure]:
    """Divide into train and test, each photo with its gray copy."""
    from stages.split import split as run

    return run(resized, out, params, manifest=manifest, lock=lock)


@_command(TrainParams)
def train(
    params: TrainParams,
    data: Annotated[Path, typer.Option("--split", help="The split photos.")] = SPLIT,
    model: Annotated[Path, typer.Option(help="Where the generator's weights go.")] = MODEL,
    curves: Annotated[Path, typer.Option(help="The folder for the curves of the losses.")] = REPORTS
    / "plots"
    / "train",
) -> None:
    """Train a recipe on the split photos."""
    from stages.train import train as run

    run(data, model, curves, params)


@_command(EvaluateParams)
def evaluate(
    params: EvaluateParams,
    data: Annotated[Path, typer.Option("--split", help="The split photos.")] = SPLIT,
    model: Annotated[
        list[Path] | None,
        typer.Option(help=f"{WEIGHTS} Give it again to compare several.", show_default=False),
    ] = None,
    reports: Annotated[Path, typer.Option(help="The folder for metrics and pictures.")] = REPORTS
    / "evaluate",
) -> None:
    """Colorize the test photos and measure how far they are from the truth."""
    from stages.evaluate import evaluate as run

    run(data, model or None, reports, params)


@_command(ColorizeParams)
def colorize(
    params: ColorizeParams,
    source: Annotated[Path, typer.Argument(metavar="IN", help="A photo, or a folder of photos.")],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The folder to write to; for one photo also a file's name."
        ),
    ],
    *,
    model: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    format: Annotated[
        str | None,
        typer.Option(help="What to write: jpg, png, webp, tif, bmp or gif; else as the photo is."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are in OUT already.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out photos that are in OUT already.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a line of JSON for each photo to this file.")
    ] = None,
) -> Sequence[Failure]:
    """Colorize a photo or a folder of photos at their own size, with their own tones."""
    from stages.colorize import colorize as run

    return run(
        source,
        out,
        model,
        params,
        format=cast(Any, format),  # The stage names those it knows.
        overwrite=overwrite,
        skip_existing=skip_existing,
        report=report,
    )


@app.command()
def export(
    context: typer.Context,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="For ONNX Runtime, which colorizes without PyTorch.")
    ] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Weights in half precision: half the bytes, to share.")
    ] = False,
    model: Annotated[Path | None, typer.Option(help=WEIGHTS, show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; that for ONNX is else beside the model, as *.onnx."),
    ] = None,
) -> None:
    """Write the network in a format that other programs read, or that takes less room."""
    with _errors_as_sentences(debug=bool(context.obj)):
        if onnx == half:
            raise ColorpipeError("An export has one format; give either --onnx or --half.")
        # Beside the model it would be a second one of its recipe: no place goes without saying.
        if half and out is None:
            raise ColorpipeError("--half needs --out, the file for the halved weights.")
        from pipeline.models.resolve import exported, find_model, require_export_name

        if out is not None:
            require_export_name(out, ".safetensors" if half else ".onnx")
        weights = find_model(model, "torch")
        target = out or exported(weights)
        if half:
            from pipeline.models.weights import halve

            halve(weights, target)
            print(f"The weights in half precision are in {target}.")
        else:
            from pipeline.models.export import export_onnx

            export_onnx(weights, target)
            print(f"The network is in {target}; `colorpipe colorize --model {target}` uses it.")


@app.command()
def recipes() -> None:
    """List what can be trained: origin, parameters and settings of each recipe."""
    from rich.console import Console
    from rich.table import Table

    from pipeline.recipes import describe_all

    table = Table(title="Recipes", show_lines=True)
    for column in ("recipe", "origin", "colors: losses", "settings"):
        table.add_column(column, overflow="fold")
    # Few columns, of several lines: nine would not fit a terminal of 80 characters.
    for row in describe_all():
        table.add_row(
            row["recipe"],
            row["origin"],
            f"{row['colors']}: {row['losses']}",
            f"{row['input']}, {row['generator']} weights\n{row['epochs']} epochs, batch"
            f" {row['batch']}, rate {row['rate']}\nstart: {row['start']}",
        )
    Console().print(table)


def main() -> None:
    """Run the command line and exit with its code."""
    # A name that the output's encoding lacks must not end a command after its work is done.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="colorpipe")
