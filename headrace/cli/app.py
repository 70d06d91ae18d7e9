"""Puts the verbs together and prints every error in one shape. Verbs import their engines when they run, not here."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.context import Format, fail, state
from headrace.errors import HeadraceError

VERBS = ("check", "init", "up", "down", "status", "logs", "run", "wait", "query", "dsn", "source", "work")

app = typer.Typer(
    name="headrace",
    help="Every change of every service: landed once, computed exactly and at once, served over the Postgres wire.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(directory: Annotated[Path, typer.Option("-C", metavar="DIR", help="The project, if not the current folder.")] = Path()) -> None:
    """Options that stand before the verb."""
    state.directory = directory


def main() -> None:
    """Runs the command line; a HeadraceError becomes its message on stderr and exit status 1."""
    for verb in VERBS:
        module = import_module(f"headrace.cli.{verb}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=verb, hidden=getattr(module, "HIDDEN", False))
        else:
            app.command(verb)(module.command)
    try:
        app()
    except HeadraceError as error:
        sys.exit(fail(error))


__all__ = ["Format", "app", "main"]
