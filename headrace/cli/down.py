"""`headrace down`: stop what `headrace up` started."""

from __future__ import annotations

from headrace.cli.context import project


def command() -> None:
    """Stop stream jobs with a savepoint, then every server of this project. Data stays; `up` goes on from there."""
    from headrace.local import platform

    platform.down(project())
