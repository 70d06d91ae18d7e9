"""SQL on the lake: DuckDB over Delta tables that delta-rs opens (DuckDB's own extension must be downloaded)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError, did_you_mean
from headrace.lake import observed, paths, rows
from headrace.lake.closed import close
from headrace.lake.travel import Moment, parse, table_at
from headrace.project import Project

if TYPE_CHECKING:
    import duckdb

ZONES = ("landing", "quarantine", "current", "batch")


def query(project: Project, sql: str, as_of: str = "") -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Runs a query on the lake's newest committed versions; returns column names and rows. Changes nothing in the lake,
    and reads no other file.

    `as_of` is a time, then every table is as its newest commit up to then left it; or a version, of the one table that
    the query names.

    Names: landing.<table>, quarantine.<table>, current.<table> and batch.<view>; a bare <table> is current.<table>, a
    bare <view> is batch.<view>. Only the tables that the query names are opened. A current table is as of the last job
    that read it. Nothing is masked: whoever can read the lake's files is their owner. Raises HeadraceError with what is
    wrong in the query, and for a moment at which a table was not there or of which files are gone.
    """
    import duckdb

    moment = parse(as_of) if as_of else None
    tables = named(project, sql)
    if moment and moment.time is None and len({_real(project, zone, name) for zone, name in tables}) != 1:
        hint = "each table counts its own versions; a time holds for all: --as-of 2026-01-31T12:00"
        raise HeadraceError(f"--as-of {as_of} needs a query that names one table of the lake", hint=hint)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for zone, name in tables:
            _view(connection, project, zone, name, moment)
        close(connection)
        try:
            relation = connection.execute(sql)
            return tuple(d[0] for d in relation.description or ()), relation.fetchall()
        except duckdb.Error as error:
            raise HeadraceError(_text(error), hint=_hint(project, str(error))) from None


def named(project: Project, sql: str) -> list[tuple[str, str]]:
    """The lake's tables that a query names, as (zone, name) with zone '' for a bare name; all of them when it can't be
    parsed (then DuckDB says why)."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    known = {(zone, n) for zone in ("landing", "quarantine", "current") for n in project.tables}
    views = [j.name for j in project.jobs if j.kind == "batch"]
    known |= {("batch", v) for v in views} | {("", n) for n in (*project.tables, *views)}
    try:
        trees = sqlglot.parse(sql, dialect="duckdb")
    except SqlglotError:
        return []
    found = {(t.db.lower(), t.name.lower()) for tree in trees if tree for t in tree.find_all(exp.Table)}
    return sorted(found & known)


def _real(project: Project, zone: str, name: str) -> tuple[str, str]:
    return zone or ("current" if name in project.tables else "batch"), name


def _view(connection: duckdb.DuckDBPyConnection, project: Project, zone: str, name: str, moment: Moment | None) -> None:
    real, _ = _real(project, zone, name)
    columns = "*"
    where = ""
    data = _open(project, real, name, moment)
    if real == "current":  # a column that came since this version is not in it
        there = set(data.schema.names)
        contract = observed.effective(project, project.tables[name]).contract
        columns = ", ".join(_quoted(n) for n in contract.names if n in there)
        where = " WHERE NOT _deleted"
    hidden = f"_{real}_{name}"
    connection.register(hidden, data)
    if zone:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {zone}")
    target = f"{zone}.{_quoted(name)}" if zone else _quoted(name)
    connection.execute(f"CREATE VIEW {target} AS SELECT {columns} FROM {_quoted(hidden)}{where}")


def _open(project: Project, zone: str, name: str, moment: Moment | None) -> Any:
    """A version of a table as an Arrow dataset: DuckDB pushes columns and filters down into it."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    address: Callable[[Project, str], str] = getattr(paths, zone)
    try:
        if moment:
            return table_at(address(project, name), f"{zone}.{name}", moment).to_pyarrow_dataset()
        return DeltaTable(address(project, name)).to_pyarrow_dataset()
    except TableNotFoundError:
        if not moment and zone in ("landing", "quarantine"):  # nothing came yet: an empty table, with its columns
            return (rows.LANDING if zone == "landing" else rows.QUARANTINE).empty_table()
        hint = (
            f"headrace run {name}"
            if zone == "batch"
            else f"it is made when a job that reads {name} runs: headrace run JOB"
        )
        raise HeadraceError(f"{zone}.{name} is not there yet", hint=hint) from None


def _text(error: Exception) -> str:
    """DuckDB's message with its own excerpt and caret, without its guesses at tables it was never shown."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("Did you mean")]
    return "\n  ".join(lines)


def _hint(project: Project, message: str) -> str:
    if "does not exist" not in message or "Table with name" not in message:
        return ""
    word = message.partition("Table with name ")[2].split()[0].strip('"')
    views = [j.name for j in project.jobs if j.kind == "batch"]
    return did_you_mean(word, [*project.tables, *views, *(f"{z}.{t}" for z in ZONES[:3] for t in project.tables)])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
