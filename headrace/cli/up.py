"""`headrace up`: start the embedded platform and bring topics, connectors and jobs in place."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.context import project


def command(
    only: Annotated[str, typer.Option(metavar="PARTS", help="Only these, with commas: bus, connect, postgres, source, source:NAME, flink, spark, airflow, landing, pulse.")] = "",
) -> None:
    """Start every server on this machine that headrace.yml gives no other address for. Harmless when they run."""
    from headrace.local import platform

    platform.up(project(), {part.strip() for part in only.split(",")} if only else None)
