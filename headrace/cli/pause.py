"""`headrace pause`: one source or table stands still, the others go on."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.context import project

MEANS = {
    "cdc": "its connector is stopped. Its database keeps the log for it meanwhile, and that takes space there",
    "cron": "nothing of it is pulled",
    "events": "nothing of it is landed. What services send waits on the bus",
}


def command(
    name: Annotated[str, typer.Argument(metavar="SOURCE[.TABLE]", help="The source, or one of its tables.")],
    why: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; `status` shows it.")] = "",
) -> None:
    """Let a source or one of its tables stand still until `headrace resume`; the others go on.

    A paused table's rows wait on the bus, and alert views, which read the bus, go on. It stays paused over restarts.
    """
    from headrace.ingest import connectors, paused

    opened = project()
    source, table = opened.part(name)
    made = paused.pause(opened, source, table, why)
    if source.mode == "cdc" and table is None:
        connectors.hold(opened, source)
    print(f"{made.name} is {made.text}")
    said = "nothing of it is landed within seconds from now. Its rows wait on the bus" if table else MEANS[source.mode]
    print(f"{said}; headrace resume {made.name}   lets it go on", file=sys.stderr)
