"""`headrace init`: a new project to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def command(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> None:
    """Make a new project with one source, one contract and two jobs to copy."""
    from headrace.project.starter_files import create

    for path in create(directory):
        print(f"  {path.relative_to(directory)}")
    here = directory.resolve() == Path.cwd()
    project = "" if here else f" -C {shlex.quote(str(directory))}"
    print(f"\n{directory} is a Headrace project. Next:\n")
    print(f"  headrace{project} check     every mistake in every file, without starting anything")
    print(f"  headrace{project} up        start the platform on this machine")
    print(f'  headrace{project} query "SELECT * FROM batch.temperature_per_day"')
