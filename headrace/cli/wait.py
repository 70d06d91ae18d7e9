"""`headrace wait`: until everything committed so far is in every view."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.context import project


def command(
    timeout: Annotated[float, typer.Option(help="Seconds before giving up.")] = 300.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Wait until all that was committed to the sources is landed, in current tables, batch views and alert views.

    Decided by position: markers are written through every source and followed to the end. Stale batch views are run
    now. On time-out it says what lags by how much, and exits with 1. What is paused is named and not waited for.
    """
    from headrace.audit.flow import wait

    def progress(text: str) -> None:
        if text.startswith("not waiting"):
            print(text, file=sys.stderr, flush=True)
        elif not quiet:
            print(f"  {text} …", flush=True)

    seconds = wait(project(), timeout, progress)
    if not quiet:
        print(f"everything has arrived ({seconds:.1f} s)")
