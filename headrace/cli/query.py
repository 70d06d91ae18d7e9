"""headrace query "SQL": what the views say."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.context import Format, project, show
from headrace.errors import HeadraceError


def command(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A query; '-' reads it from standard input.")],
    format: Annotated[Format, typer.Option(help="How to print the rows.")] = Format.table,
    lake: Annotated[
        bool, typer.Option("--lake", help="Ask the lake (DuckDB) instead of the serving database.")
    ] = False,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="TIME|VERSION", help="With --lake: as it was then (UTC), or at a version.")
    ] = "",
) -> None:
    """Ask the serving database (schemas live, batch, alerts, ops) or, with --lake, the lake.

    The serving database is asked as the role `reader`, which sees columns with personal values masked. The lake's files
    are read as whoever runs this: who may read them sees all values.
    """
    if as_of and not lake:
        message = "--as-of asks the lake: the serving database holds the newest run only"
        raise HeadraceError(message, hint='headrace query --lake --as-of 2026-01-31T12:00 "SELECT …"')
    text = sys.stdin.read() if sql == "-" else sql
    if lake:
        from headrace.lake.reading import query

        columns, rows = query(project(), text, as_of)
    else:
        from headrace.serve import reading

        answer = reading.query(project(), text)
        columns, rows = answer.columns, answer.rows
    names = _distinct(columns)
    show([dict(zip(names, row, strict=True)) for row in rows], format, names)


def _distinct(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of columns, the second of a name numbered: JSON objects can't hold two alike."""
    seen: dict[str, int] = {}
    names = []
    for name in columns:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(names)
