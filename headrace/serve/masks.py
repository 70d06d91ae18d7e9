"""What readers don't see: columns with personal values are masked for every role but the owner and the writer.

The rows of a view with such a column lie in the schema `personal`, which only those two may use. In their usual place,
`batch.<view>` or `alerts.<job>`, is a view that shows `***` for each text and NULL for each value of another type.
Names and types stay, so that what was built on it goes on working. Whether there is a value shows in texts only.
`ops.masks` says which columns are masked, and for the sake of which columns of the sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.project import Project
from headrace.project.personal import touched

if TYPE_CHECKING:
    import psycopg

SCHEMA = "personal"
MASK = "***"
Masks = Mapping[str, frozenset[str]]  # column → the personal columns behind it
_TABLE = """SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN (%s, %s) AND c.relname = %s AND c.relkind = 'r'"""


def home(masks: Masks, schema: str) -> str:
    """The schema in which the rows belong: `schema` ('batch' or 'alerts') when nothing in them is personal."""
    return SCHEMA if masks else schema


def where(connection: psycopg.Connection, schema: str, name: str) -> str | None:
    """The schema in which the rows of `<schema>.<name>` are; None when there is no such table."""
    found = connection.execute(_TABLE, (schema, SCHEMA, name)).fetchone()
    return found[0] if found else None


def recorded(connection: psycopg.Connection, schema: str, name: str) -> dict[str, frozenset[str]]:
    """The masks that are in place; none when the view that masks is gone."""
    rows = connection.execute(
        """SELECT column_name, personal FROM ops.masks WHERE schema_name = %s AND table_name = %s
        AND to_regclass(format('%%I.%%I', schema_name, table_name)) IS NOT NULL""",
        (schema, name),
    )
    return {column: frozenset(personal) for column, personal in rows}


def show(
    connection: psycopg.Connection, schema: str, name: str, columns: Sequence[tuple[str, str]], masks: Masks
) -> None:
    """Puts `<schema>.<name>` before the readers, over the rows in `personal`; without masks only records that.

    `columns` are names and PostgreSQL types, of which nothing but the end may have changed while the view stands. The
    view reads with the writer's rights: readers need none on the rows, and get none.
    """
    from psycopg import sql

    connection.execute("DELETE FROM ops.masks WHERE schema_name = %s AND table_name = %s", (schema, name))
    if not masks:
        return
    for column, personal in masks.items():
        connection.execute(
            "INSERT INTO ops.masks (schema_name, table_name, column_name, personal) VALUES (%s, %s, %s, %s)",
            (schema, name, column, sorted(personal)),
        )
    shown = sql.SQL(", ").join(_shown(column, type_, column in masks) for column, type_ in columns)
    rows, view = sql.Identifier(SCHEMA, name), sql.Identifier(schema, name)
    connection.execute(
        sql.SQL("REVOKE ALL ON {} FROM PUBLIC, reader").format(rows)
    )  # else statistics would show values
    connection.execute(sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(view, shown, rows))
    connection.execute(sql.SQL("GRANT SELECT ON {} TO reader").format(view))


def for_readers(connection: psycopg.Connection, project: Project, job: str, text: str) -> str:
    """What the ops tables may show of an engine's message about a job or a source: all of it, unless a table that it
    reads has personal columns.

    Engines quote values in their messages. Then the text is kept in personal.errors, and its place in the job remains.
    """
    if not text or text.startswith(_KEPT) or not touched(project, job):
        return text
    connection.execute(
        """INSERT INTO personal.errors (job, error) SELECT %(job)s, %(error)s WHERE %(error)s IS DISTINCT FROM
        (SELECT error FROM personal.errors WHERE job = %(job)s ORDER BY id DESC LIMIT 1)""",
        {"job": job, "error": text},
    )
    place = re.match(r"\S+\.(?:sql|py):\d+\n", text)
    return f"{_KEPT} {place[0].strip() if place else job}; the owner reads it in personal.errors"


_KEPT = "a message that may hold personal values, about"


def _shown(column: str, type_: str, masked: bool):  # type: ignore[no-untyped-def]
    from psycopg import sql

    name = sql.Identifier(column)
    if not masked:
        return name
    if type_ != "text":
        return sql.SQL("NULL::{} AS {}").format(sql.SQL(type_), name)  # type: ignore[arg-type] - a type of ours
    return sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END AS {}").format(name, sql.Literal(MASK), name)
