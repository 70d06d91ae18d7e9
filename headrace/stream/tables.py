"""The alert table in PostgreSQL: made, and changed when the job's result changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, Place
from headrace.project import Job
from headrace.stream.sink import SCHEMA, Sink, quoted

if TYPE_CHECKING:
    import psycopg


def exists(connection: psycopg.Connection, job: str) -> bool:
    """Whether the job's alert table is there."""
    return connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.{quoted(job)}",)).fetchone()[0] is not None  # type: ignore[index]


def check_names(connection: psycopg.Connection, job: Job, sink: Sink) -> None:
    """Raises HeadraceError when a column is called by a word that PostgreSQL reserves."""
    reserved = {row[0] for row in connection.execute("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")}
    taken = [n for n in sink.table_columns if n in reserved]
    if taken:
        raise HeadraceError(f"{taken[0]!r} is a word of PostgreSQL's own and can't name a column", place=Place(job.path, 1), hint=f"… AS {taken[0]}_")


def ensure_table(connection: psycopg.Connection, sink: Sink) -> str:
    """Makes `alerts.<job>` fit the sink; returns what it did ('' when nothing).

    Alerts already there stay: columns are added and dropped in place. When the key or a type changes, the old table
    steps aside under a name of its own. One transaction; the job must not run meanwhile.
    """
    table = f"{SCHEMA}.{quoted(sink.job)}"
    with connection.transaction():
        if not exists(connection, sink.job):
            _create(connection, table, sink)
            return "created"
        have, key = _columns(connection, table)
        wanted = {n: t.split(" NOT NULL")[0] for n, t in sink.table_columns.items()}
        changed = [n for n in wanted if n in have and have[n] != wanted[n]]
        if key != set(sink.key) or changed:
            aside = f"{sink.job[:40]}_until_{datetime.now(UTC):%Y%m%dt%H%M%S}"
            index = quoted(f"{aside}_pkey")
            old = connection.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'", (table,)).fetchone()
            connection.execute(f"ALTER TABLE {table} RENAME TO {quoted(aside)}")  # type: ignore[arg-type]
            if old:
                connection.execute(f"ALTER TABLE {SCHEMA}.{quoted(aside)} RENAME CONSTRAINT {quoted(old[0])} TO {index}")  # type: ignore[arg-type]
            _create(connection, table, sink)
            return f"earlier alerts are kept as {SCHEMA}.{aside}"
        steps = [f"ADD COLUMN {quoted(n)} {_type(sink, n)}" for n in wanted if n not in have] + [f"DROP COLUMN {quoted(n)}" for n in have if n not in wanted]
        if "severity" not in {c.name for c in sink.columns} and "severity" in have:
            connection.execute(f"ALTER TABLE {table} ALTER COLUMN severity SET DEFAULT {_literal(sink.severity)}")  # type: ignore[arg-type]
        if steps:
            connection.execute(f"ALTER TABLE {table} {', '.join(steps)}")  # type: ignore[arg-type]
        return f"altered ({', '.join(steps)})" if steps else ""


def _create(connection: psycopg.Connection, table: str, sink: Sink) -> None:
    columns = ", ".join(f"{quoted(n)} {t}" for n, t in sink.table_columns.items())
    key = ", ".join(quoted(k) for k in sink.key)
    connection.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))")  # type: ignore[arg-type]
    connection.execute(f"GRANT SELECT ON {table} TO reader")  # type: ignore[arg-type]


def _columns(connection: psycopg.Connection, table: str) -> tuple[dict[str, str], set[str]]:
    rows = connection.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY(c.conkey), false) FROM pg_attribute a"
        " LEFT JOIN pg_constraint c ON c.conrelid = a.attrelid AND c.contype = 'p'"
        " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        (table,),
    ).fetchall()
    return {n: _short(t) for n, t, _ in rows}, {n for n, _, in_key in rows if in_key}


def _short(type_: str) -> str:
    return type_.replace("timestamp with time zone", "timestamptz")


def _type(sink: Sink, column: str) -> str:
    # Rows from before have no value in a new column of the result; in ours they have the default.
    type_ = sink.table_columns[column]
    return type_ if "DEFAULT" in type_ else type_.removesuffix(" NOT NULL")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
