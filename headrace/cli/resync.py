"""`headrace resync`: takes a source or a table again from its database."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.context import project


def command(
    name: Annotated[str, typer.Argument(metavar="SOURCE[.TABLE]", help="The source, or one of its tables.")],
    timeout: Annotated[float, typer.Option(help="Seconds to wait for it; it goes on by itself after them.")] = 600.0,
) -> None:
    """Snapshot a captured source or table anew: rows that were deleted unseen vanish, rows that were missed come.

    A table is brought beside its stream, and everything else flows on. A whole source streams nothing until its
    snapshot is complete. Alert views see the rows again, with op 'r'.
    """
    from headrace.ingest.resync import resync

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"  {text} …", file=sys.stderr, flush=True)

    opened = project()
    source, table = opened.part(name)
    resync(opened, source, table, timeout, say)
    print(f"{name} is complete on the bus; the views follow: headrace wait")
