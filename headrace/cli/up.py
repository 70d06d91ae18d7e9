"""`headrace up`: start the embedded platform and bring topics, connectors and jobs in place."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.context import project
from headrace.errors import HeadraceError

PARTS = "bus, connect, postgres, source, source:NAME, flink, spark, airflow, landing, pulse, monitoring"


def command(
    only: Annotated[str, typer.Option(metavar="PARTS", help=f"Only these, with commas: {PARTS}.")] = "",
    prepare: Annotated[
        str, typer.Option(metavar="COMMAND", help="Run it when databases are up, before their connectors start.")
    ] = "",
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Prometheus and Alertmanager beside it, until `down`.")
    ] = False,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="NAME=COMMAND", help="Keep it running beside the platform until `down`.")
    ] = None,
) -> None:
    """Start every server on this machine that headrace.yml gives no other address for. Harmless when they run."""
    from headrace.local import platform
    from headrace.local.servers import monitoring as watch

    commands = {}
    for entry in keep or []:
        name, _, text = entry.partition("=")
        if not name.isidentifier() or not text:
            raise HeadraceError(f"--keep {entry!r} is not NAME=COMMAND", hint='--keep demo="python -m demo --forever"')
        commands[name] = text
    here = project()
    if monitoring:
        watch.ask(here)
    parts = {part.strip() for part in only.split(",")} if only else None
    platform.up(here, parts and parts | ({"monitoring"} if monitoring else set()), prepare, commands)
