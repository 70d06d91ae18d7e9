"""The alert table in PostgreSQL: made, and changed when the job's result changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError, Place
from headrace.project import Job
from headrace.serve import masks
from headrace.stream.sink import SCHEMA, Sink, quoted

if TYPE_CHECKING:
    import psycopg

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = ANY(c.conkey), false), c.conname
FROM pg_attribute a LEFT JOIN pg_constraint c ON c.conrelid = a.attrelid AND c.contype = 'p'
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""

_BUILT_ON = """
SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = %s::regclass AND r.ev_class <> d.refobjid
"""
_ASIDE = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname ~ %s
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
    steps aside under a name of its own. When a column becomes personal the rows, earlier ones too, move to where
    readers can't get at them, behind a view that masks it. One transaction; the job must not run meanwhile.
    """
    with connection.transaction():
        at = masks.where(connection, SCHEMA, sink.job)
        if at is None:
            _create(connection, sink)
            _show(connection, sink)
            return "created"
        unchanged = at == sink.schema and masks.recorded(connection, SCHEMA, sink.job) == sink.masks
        if at == masks.SCHEMA and not (unchanged and _fits(connection, sink)):
            _free(connection, sink)
            _run(connection, f"DROP VIEW IF EXISTS {_table(sink.job)}")  # a view holds fast the columns it shows
        if at != sink.schema:
            _move(connection, sink, at)
        done = _fit(connection, sink)
        if done or not unchanged:
            _show(connection, sink)
        return done or ("" if unchanged else f"masked: {', '.join(sorted(sink.masks)) or 'nothing any more'}")


def _fits(connection: psycopg.Connection, sink: Sink) -> bool:
    have, wanted, _, same_key = _compared(connection, sink)
    return have == wanted and same_key


def _fit(connection: psycopg.Connection, sink: Sink) -> str:
    table = _table(sink.job, sink.schema)
    have, wanted, constraint, same_key = _compared(connection, sink)
    if not same_key or any(have[n] != t for n, t in wanted.items() if n in have):
        aside = f"{sink.job[:40]}_until_{datetime.now(UTC):%Y%m%dt%H%M%S}"
        _run(connection, f"ALTER TABLE {table} RENAME CONSTRAINT {quoted(constraint)} TO {quoted(aside + '_pkey')}")
        _run(connection, f"ALTER TABLE {table} RENAME TO {quoted(aside)}")
        _create(connection, sink)
        return f"earlier alerts are kept as {sink.schema}.{aside}"
    steps = [f"ADD COLUMN {quoted(n)} {_added(sink.table_columns[n])}" for n in wanted if n not in have]
    steps += [f"DROP COLUMN {quoted(n)}" for n in have if n not in wanted]
    if steps:
        _run(connection, f"ALTER TABLE {table} {', '.join(steps)}")
    return f"altered {table}: {', '.join(steps)}" if steps else ""


def _compared(connection: psycopg.Connection, sink: Sink) -> tuple[dict[str, str], dict[str, str], str, bool]:
    """The columns that the table has and those it should have, its key's constraint, and whether that is the key."""
    rows = _all(connection, _COLUMNS, _table(sink.job, masks.where(connection, SCHEMA, sink.job) or SCHEMA))
    have = {n: t.replace("timestamp with time zone", "timestamptz") for n, t, _, _ in rows}
    wanted = {n: t.split(" NOT NULL")[0] for n, t in sink.table_columns.items()}
    return have, wanted, rows[0][3], {n for n, _, in_key, _ in rows if in_key} == set(sink.key)


def _move(connection: psycopg.Connection, sink: Sink, at: str) -> None:
    """Moves the rows between `alerts` and `personal`; what stepped aside earlier goes to `personal` too, and stays."""
    tables = [sink.job]
    if sink.schema == masks.SCHEMA:
        _free(connection, sink)
        aside = f"^{sink.job[:40]}_until_[0-9]{{8}}t[0-9]{{6}}$"
        tables += [name for (name,) in _all(connection, _ASIDE, SCHEMA, aside)]
    for table in tables:
        _run(connection, f"ALTER TABLE {_table(table, at)} SET SCHEMA {sink.schema}")
        rights = (
            "REVOKE ALL ON {} FROM PUBLIC, reader" if sink.schema == masks.SCHEMA else "GRANT SELECT ON {} TO reader"
        )
        _run(connection, rights.format(_table(table, sink.schema)))


def _free(connection: psycopg.Connection, sink: Sink) -> None:
    """Raises HeadraceError when somebody built a view on the alerts: it would go on showing what is personal now."""
    built = [name for (name,) in _all(connection, _BUILT_ON, _table(sink.job))] if exists(connection, sink.job) else []
    if built:
        message = f"{', '.join(built)} is built on alerts.{sink.job}, of which other columns are personal now"
        raise HeadraceError(message, hint=f"drop it, then: headrace run {sink.job}")


def _show(connection: psycopg.Connection, sink: Sink) -> None:
    types = [(n, t.split(" NOT NULL")[0]) for n, t in sink.table_columns.items()]
    masks.show(connection, SCHEMA, sink.job, types, sink.masks)


def empty(connection: psycopg.Connection, job: str) -> None:
    """Removes all alerts of a job; readers see all of them or none."""
    _run(connection, f"DELETE FROM {_table(job, masks.where(connection, SCHEMA, job) or SCHEMA)}")


def _create(connection: psycopg.Connection, sink: Sink) -> None:
    table = _table(sink.job, sink.schema)
    columns = ", ".join(f"{quoted(n)} {t}" for n, t in sink.table_columns.items())
    key = ", ".join(quoted(k) for k in sink.key)
    _run(connection, f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))")
    if sink.schema == SCHEMA:
        _run(connection, f"GRANT SELECT ON {table} TO reader")


def _added(type_: str) -> str:
    # Rows from before have no value in a new column of the result; in ours they have the default.
    return type_ if "DEFAULT" in type_ else type_.removesuffix(" NOT NULL")


def _table(job: str, schema: str = SCHEMA) -> str:
    return f"{schema}.{quoted(job)}"


def _run(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement)  # type: ignore[arg-type] - made of quoted names


def _all(connection: psycopg.Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    return connection.execute(query, values).fetchall()  # type: ignore[arg-type] - constant texts
