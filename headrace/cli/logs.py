"""`headrace logs NAME`: what a server prints."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from headrace.cli.context import project
from headrace.errors import HeadraceError, did_you_mean


def command(
    name: Annotated[str, typer.Argument(help="A server, as `headrace status` names it.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what comes.")] = False,
    lines: Annotated[int, typer.Option("-n", help="How many lines of the end.")] = 50,
) -> None:
    """Print the end of a server's log."""
    folder = project().state / "logs"
    known = {path.stem for path in folder.glob("*.log")}
    if name not in known:
        raise HeadraceError(f"there is no log of {name!r}", hint=did_you_mean(name, known))
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(folder / f"{name}.log")])
