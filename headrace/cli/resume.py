"""`headrace resume`: ends a pause."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.context import project
from headrace.errors import HeadraceError


def command(
    name: Annotated[str, typer.Argument(metavar="SOURCE[.TABLE]", help="The source, or one of its tables.")],
) -> None:
    """Let a paused source or table go on from where it stood; nothing of the time between is lost."""
    from headrace.ingest import connectors, paused

    opened = project()
    source, table = opened.part(name)
    ended = paused.resume(opened, source, table)
    if source.mode == "cdc" and table is None:
        # Also when it was not paused: a command that was killed may have left its connector stopped.
        state = next(s for s in connectors.ensure(opened) if s["source"] == source.name)
        if state["error"]:
            raise HeadraceError(state["error"])
    print(f"{name} goes on" if ended else f"{name} was not paused")
    for still in paused.read(opened).known(opened):
        if still.source == source.name and (still.table in ("", table.name if table else "") or not table):
            print(f"{still.name} stays {still.text}")
