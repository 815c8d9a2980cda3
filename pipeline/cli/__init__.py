"""The command line, and the only room that knows Typer: a subcommand a stage."""

from pipeline.cli.commands import app, main

__all__ = ["app", "main"]
