"""What became of quarantined rows, as SQL (DuckDB) over the lake. Changes nothing there.

A row is known by its *origin*, the message it came in: topic, partition, offset and append time (the last tells a topic
from one of the same name that was made anew). Its state is not stored but found:

* `replayed`: a message that names it as its origin is on the lake, landed, or in quarantine again (and open there). So
  is a row of a topic that no table declared, once a table declares it and landing has read the very same message.
* `dropped`: it is not replayed, and somebody decided to give it up.
* `open`: neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.lake import paths, rows
from headrace.lake.selection import Selection, source_of
from headrace.project import Project

if TYPE_CHECKING:
    import duckdb

ORIGIN_SQL = """topic || '/' || partition || '/' || "offset" || '/' || epoch_ms(appended_at)"""
# `taken` concerns rows of strange topics only: in the quarantine of its table the same message is a row of its own.
_STATE = f"""CASE WHEN origin IN (FROM replayed) THEN 'replayed'
WHEN "table" = '{paths.UNKNOWN}' AND origin IN (FROM taken) THEN 'replayed'
WHEN ("table", origin) IN (FROM dropped) THEN 'dropped' ELSE 'open' END"""


def header(name: str) -> str:
    """SQL: the value of a header in the JSON column `headers`."""
    return f"""json_extract_string(headers, '$."{name}"')"""


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in UTC, without tables."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@contextmanager
def opened(project: Project, selection: Selection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the view `letters`: the selected rows with their source, origin and state."""
    with connected() as connection:
        connection.execute("CREATE TABLE replayed (origin VARCHAR); CREATE TABLE taken (origin VARCHAR)")
        connection.execute('CREATE TABLE dropped ("table" VARCHAR, origin VARCHAR)')
        parts = []
        for table in selection.tables(project):
            part = _quarantine(connection, project, table)
            parts += [part] if part else []
        if not parts:
            connection.register("nothing", rows.QUARANTINE.empty_table())
            parts = ["SELECT *, '' AS \"table\", '' AS source FROM nothing"]
        connection.execute(
            f"""CREATE VIEW letters AS SELECT *, {_STATE} AS state
            FROM (SELECT *, {ORIGIN_SQL} AS origin FROM ({" UNION ALL ".join(parts)})) WHERE {_condition(selection)}"""
        )
        yield connection


def _condition(selection: Selection) -> str:
    conditions = ["true"]
    if selection.source:
        conditions.append(f"source = {_text(selection.source)}")
    if selection.reason:
        conditions.append(f"contains(reason, {_text(selection.reason)})")
    if selection.since:
        conditions.append(f"quarantined_at >= TIMESTAMPTZ '{selection.since.isoformat()}'")
    if selection.until:
        conditions.append(f"quarantined_at < TIMESTAMPTZ '{selection.until.isoformat()}'")
    return " AND ".join(conditions)


def _quarantine(connection: duckdb.DuckDBPyConnection, project: Project, table: str) -> str:
    """Registers one quarantine and what is known about its rows; returns the query that reads it, '' for none."""
    name = f"quarantine_{table}"
    if not register(connection, name, paths.quarantine(project, table)):
        return ""
    first = dict(connection.execute(f'SELECT topic, min(landing_date) FROM "{name}" GROUP BY topic').fetchall())
    if not first:
        return ""
    if register(connection, f"decisions_{table}", paths.decisions(project, table)):
        connection.execute(f'INSERT INTO dropped SELECT {_text(table)}, {ORIGIN_SQL} FROM "decisions_{table}"')
    homes = [t for t in project.tables.values() if t.topic in first]
    for home in homes:
        _replays(connection, project, home.name, first[home.topic], name if table == paths.UNKNOWN else "")
    of_topic = {t: project.tables[table].source if table in project.tables else source_of(project, t) for t in first}
    source = " ".join(f"WHEN {_text(t)} THEN {_text(s)}" for t, s in of_topic.items())
    return f"""SELECT *, {_text(table)} AS "table", CASE topic {source} ELSE '' END AS source FROM "{name}" """


def _replays(connection: duckdb.DuckDBPyConnection, project: Project, home: str, first: Any, strangers: str) -> None:
    """Finds the origins that messages on a table's topic name, and, for a quarantine of topics that nobody declared,
    the messages that the table has read by itself since.

    None of them was landed before the quarantined rows were: a day's margin allows for clocks of different machines.
    """
    for zone, address in (("landing", paths.landing), ("quarantine", paths.quarantine)):
        name = f"{zone}_of_{home}_{bool(strangers)}"
        if not register(connection, name, address(project, home)):
            continue
        later = "landing_date >= ?::DATE - 1"
        origin = header(rows.ORIGIN)
        connection.execute(
            f"""INSERT INTO replayed SELECT DISTINCT {origin} FROM "{name}"
            WHERE {later} AND contains(headers, {_text(rows.ORIGIN)}) AND {origin} IS NOT NULL""",
            [first],
        )
        if strangers:
            connection.execute(
                f"""INSERT INTO taken SELECT {ORIGIN_SQL} FROM "{name}" WHERE {later} AND (partition, "offset") IN
                (SELECT partition, "offset" FROM "{strangers}" WHERE topic = ?)""",
                [first, project.tables[home].topic],
            )


def register(connection: duckdb.DuckDBPyConnection, name: str, address: str) -> bool:
    """Shows the newest version of a Delta table under a name; False when there is no table."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        connection.register(name, DeltaTable(address).to_pyarrow_dataset())
    except TableNotFoundError:
        return False
    return True


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
