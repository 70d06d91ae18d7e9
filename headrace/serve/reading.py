"""Reading the serving database under the reader role, with errors that point into the query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, did_you_mean
from headrace.project import Project
from headrace.serve.database import connect

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Answer:
    """The rows of a query and the names of its columns."""

    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def query(project: Project, sql: str) -> Answer:
    """Runs a query as `reader`, which can't write. Raises HeadraceError with the place in the query that is wrong."""
    import psycopg

    with connect(project, "reader") as connection:
        try:
            cursor = connection.execute(sql)  # type: ignore[arg-type] - the user's own text, under a role that only reads
            while cursor.nextset():
                pass
            if cursor.description is None:
                return Answer((), [])
            return Answer(tuple(c.name for c in cursor.description), cursor.fetchall())
        except psycopg.Error as error:
            raise _explained(connection, sql, error) from None


def excerpt(sql: str, position: int) -> str:
    """The line of a query that holds a position (counted from 1), with a caret below it."""
    before = sql[: position - 1]
    line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    return f"{sql.split(chr(10))[line]}\n  {' ' * column}^"


def _explained(connection: psycopg.Connection, sql: str, error: psycopg.Error) -> HeadraceError:
    message = error.diag.message_primary or str(error).strip()
    shown = (
        f"{excerpt(sql, int(error.diag.statement_position))}\n  {message}" if error.diag.statement_position else message
    )
    hint = error.diag.message_hint or ""
    missing = re.search(r'relation "(.*?)" does not exist', message)
    if missing:
        hint = did_you_mean(missing[1], _relations(connection))
    elif error.sqlstate == "25006":  # read-only transaction
        hint = "`query` only reads; psql $(headrace dsn serving --role headrace)   may write"
    return HeadraceError(shown, hint=hint)


def _relations(connection: psycopg.Connection) -> list[str]:
    """What the reader can name: short names of its search path, others with their schema."""
    connection.rollback()
    rows = connection.execute(
        """SELECT DISTINCT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v', 'm', 'p') AND n.nspname IN ('batch', 'live', 'alerts', 'ops')"""
    )
    return [name for (name,) in rows]
