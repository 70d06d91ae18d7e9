"""`headrace down`: stop what `headrace up` started."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.context import project


def command(
    only: Annotated[str, typer.Option(metavar="PARTS", help="Only these parts, as `up --only` names them.")] = "",
) -> None:
    """Stop stream jobs with a savepoint, then every server of this project. Data stays; `up` goes on from there."""
    from headrace.local import platform

    platform.down(project(), {part.strip() for part in only.split(",")} if only else None)
