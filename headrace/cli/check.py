"""`headrace check`: every mistake in every file of the project at once, without an engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.context import Format, fail, show, state
from headrace.errors import HeadraceError, Problem

COLUMNS = ("file", "line", "column", "message", "hint")


def command(
    format: Annotated[
        Format, typer.Option("--format", help="table: text to read; json and csv: one row per mistake.")
    ] = Format.table,
) -> None:
    """Find every mistake in every file, without starting anything. Exits with 1 if there is one."""
    from headrace.project import find_root, inspect

    root = find_root(state.directory)
    project, problems = inspect(root)
    if format is not Format.table:
        show([as_row(p, root) for p in problems], format, COLUMNS)
    elif problems:
        fail(HeadraceError(*problems))
        files = len({p.place.path for p in problems if p.place})
        print(f"\n{_count(len(problems), 'mistake')} in {_count(files, 'file')}", file=sys.stderr)
    else:
        print(summary(project))
    if problems:
        raise typer.Exit(1)


def as_row(problem: Problem, root: Path) -> dict[str, object]:
    """A problem as plain values; the file is relative to the project where it lies in it."""
    row: dict[str, object] = {"file": None, "line": None, "column": None}
    if problem.place:
        path = problem.place.path
        row["file"] = str(path.relative_to(root) if path.is_relative_to(root) else path)
        row["line"], row["column"] = problem.place.line or None, problem.place.column or None
    return {**row, "message": problem.message, "hint": problem.hint}


def summary(project) -> str:  # type: ignore[no-untyped-def]
    """One line that says how much was looked at."""
    batch = sum(j.kind == "batch" for j in project.jobs)
    parts = [
        _count(len(project.sources), "source"),
        _count(len(project.tables), "table"),
        _count(batch, "batch view"),
        _count(len(project.jobs) - batch, "stream job"),
    ]
    return f"{project.settings.name}: all is well ({', '.join(parts)})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
