"""What every verb shares: the project it works on, and how it prints."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.project import Project


class Format(StrEnum):
    """How a verb prints what it lists."""

    table = "table"
    json = "json"
    csv = "csv"


@dataclass
class State:
    """Options before the verb."""

    directory: Path = Path()


state = State()


def project() -> Project:
    """The project in -C DIR or around the current folder. Its broken files are left out; `check` names them."""
    from headrace.project import find_root, load  # here, so that `headrace --help` does not wait for it

    return load(find_root(state.directory))


def fail(error: HeadraceError) -> int:
    """Prints an error as file:line, excerpt, caret, message, hint; returns the exit status."""
    for problem in error.problems:
        print(problem.render(Path.cwd()), file=sys.stderr)
    return 1


def show(rows: list[dict[str, object]], format: Format, columns: tuple[str, ...] = ()) -> None:
    """Prints rows as a table, as a JSON array, or as CSV with a header."""
    names = list(columns or (rows[0] if rows else ()))
    if format is Format.json:
        print(json.dumps(rows, default=str, indent=2))
    elif format is Format.csv:
        import csv

        writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*names, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            # Text, not str: a value such as "[/b]" is data and no markup of rich.
            table.add_row(*(Text("" if row.get(n) is None else str(row.get(n))) for n in names))
        width = None if sys.stdout.isatty() else 200
        Console(width=width).print(table)
