"""The alert table in PostgreSQL: made, and changed when the job's result changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError, Place
from headrace.project import Job
from headrace.stream.sink import SCHEMA, Sink, quoted

if TYPE_CHECKING:
    import psycopg

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY(c.conkey), false), c.conname
FROM pg_attribute a LEFT JOIN pg_constraint c ON c.conrelid = a.attrelid AND c.contype = 'p'
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""


def exists(connection: psycopg.Connection, job: str) -> bool:
    """Whether the job's alert table is there."""
    return _all(connection, "SELECT to_regclass(%s)", _table(job))[0][0] is not None


def check_names(connection: psycopg.Connection, job: Job, sink: Sink) -> None:
    """Raises HeadraceError when a column is called by a word that PostgreSQL reserves."""
    reserved = {row[0] for row in _all(connection, "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")}
    for taken in [n for n in sink.table_columns if n in reserved]:
        message = f"{taken!r} is a word of PostgreSQL's own and can't name a column"
        raise HeadraceError(message, place=Place(job.path, 1), hint=f"… AS {taken}_")


def ensure_table(connection: psycopg.Connection, sink: Sink) -> str:
    """Makes `alerts.<job>` fit the sink; returns what it did ('' when nothing).

    Alerts already there stay: columns are added and dropped in place. When the key or a type changes, the old table
    steps aside under a name of its own. One transaction; the job must not run meanwhile.
    """
    table = _table(sink.job)
    with connection.transaction():
        if not exists(connection, sink.job):
            _create(connection, table, sink)
            return "created"
        rows = _all(connection, _COLUMNS, table)
        have = {n: t.replace("timestamp with time zone", "timestamptz") for n, t, _, _ in rows}
        wanted = {n: t.split(" NOT NULL")[0] for n, t in sink.table_columns.items()}
        other_key = {n for n, _, in_key, _ in rows if in_key} != set(sink.key)
        if other_key or any(have[n] != t for n, t in wanted.items() if n in have):
            aside = f"{sink.job[:40]}_until_{datetime.now(UTC):%Y%m%dt%H%M%S}"
            _run(connection, f"ALTER TABLE {table} RENAME CONSTRAINT {quoted(rows[0][3])} TO {quoted(aside + '_pkey')}")
            _run(connection, f"ALTER TABLE {table} RENAME TO {quoted(aside)}")
            _create(connection, table, sink)
            return f"earlier alerts are kept as {SCHEMA}.{aside}"
        steps = [f"ADD COLUMN {quoted(n)} {_added(sink.table_columns[n])}" for n in wanted if n not in have]
        steps += [f"DROP COLUMN {quoted(n)}" for n in have if n not in wanted]
        if steps:
            _run(connection, f"ALTER TABLE {table} {', '.join(steps)}")
        return f"altered {table}: {', '.join(steps)}" if steps else ""


def empty(connection: psycopg.Connection, job: str) -> None:
    """Removes all alerts of a job; readers see all of them or none."""
    _run(connection, f"DELETE FROM {_table(job)}")


def _create(connection: psycopg.Connection, table: str, sink: Sink) -> None:
    columns = ", ".join(f"{quoted(n)} {t}" for n, t in sink.table_columns.items())
    key = ", ".join(quoted(k) for k in sink.key)
    _run(connection, f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))")
    _run(connection, f"GRANT SELECT ON {table} TO reader")


def _added(type_: str) -> str:
    # Rows from before have no value in a new column of the result; in ours they have the default.
    return type_ if "DEFAULT" in type_ else type_.removesuffix(" NOT NULL")


def _table(job: str) -> str:
    return f"{SCHEMA}.{quoted(job)}"


def _run(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement)  # type: ignore[arg-type] - made of quoted names


def _all(connection: psycopg.Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    return connection.execute(query, values).fetchall()  # type: ignore[arg-type] - constant texts
