"""Puts the verbs together and prints every error in one shape. A verb's file is imported only when the verb is used.

A verb is `headrace/cli/<verb>.py` with a function `command`, or a `typer.Typer` called `app` if it has verbs of its
own. Its line in `headrace --help` is the first line of its docstring, read from the text: help waits for no import.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from headrace.cli.context import Format, fail, state
from headrace.concealed import mask_output
from headrace.errors import HeadraceError

VERBS = (
    "check",
    "init",
    "add",
    "up",
    "down",
    "status",
    "logs",
    "run",
    "wait",
    "query",
    "history",
    "dsn",
    "pause",
    "resume",
    "resync",
    "source",
    "audit",
    "quality",
    "reconcile",
    "rebuild",
    "dlq",
    "work",
)
_PROJECT_HELP = "The project, if not the current folder."


class Verbs(typer.core.TyperGroup):
    """Every verb as a stub that knows its one line of help; the real one takes its place when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for verb in VERBS:
            path = Path(__file__).with_name(f"{verb}.py")
            if path.exists():
                summary, hidden = _summary(ast.parse(path.read_text(encoding="utf-8")))
                self.commands[verb] = typer.core.TyperCommand(name=verb, help=summary, hidden=hidden)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in self.commands:
            self.commands[args[0]] = load(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Verbs,
    name="headrace",
    help="Every change of every service: landed once, computed exactly and at once, served over the Postgres wire.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    directory: Annotated[Path | None, typer.Option("-C", metavar="DIR", help=_PROJECT_HELP)] = None,
) -> None:
    """Options that stand before the verb."""
    state.directory = directory or Path()


def load(verb: str) -> Any:
    """The command of one verb, with -C DIR also after it."""
    module = import_module(f"headrace.cli.{verb}")
    host = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    if hasattr(module, "app"):
        host.add_typer(module.app, name=verb)
    else:
        host.command(verb)(module.command)
    command = typer.main.get_group(host).commands[verb]
    _accept_project(command)
    return command


def main() -> None:
    """Runs the command line; a HeadraceError becomes its message on stderr and exit status 1."""
    mask_output()
    try:
        app()
    except HeadraceError as error:
        sys.exit(fail(error))


def _accept_project(command: Any) -> None:
    if hasattr(command, "commands"):
        for inner in command.commands.values():
            _accept_project(inner)
        return
    donor = typer.Typer(add_completion=False)
    donor.command()(_with_directory)
    command.params.append(typer.main.get_command(donor).params[0])


def _set_directory(value: Path | None) -> Path | None:
    if value is not None:
        state.directory = value
    return value


def _with_directory(
    directory: Annotated[
        Path | None,
        typer.Option(
            "-C", metavar="DIR", help=_PROJECT_HELP, callback=_set_directory, expose_value=False, is_eager=True
        ),
    ] = None,
) -> None: ...


def _summary(tree: ast.Module) -> tuple[str, bool]:
    text, hidden = ast.get_docstring(tree) or "", False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "command":
            text = ast.get_docstring(node) or text
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name == "HIDDEN" and isinstance(node.value, ast.Constant):
                hidden = bool(node.value.value)
            elif name == "app" and isinstance(node.value, ast.Call):
                said = [k.value for k in node.value.keywords if k.arg == "help"]
                if said and isinstance(said[0], ast.Constant):
                    text = str(said[0].value)
    return text.strip().partition("\n")[0], hidden


__all__ = ["Format", "app", "main"]
