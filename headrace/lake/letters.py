"""Dead letters: the rows in quarantine, found by what they are and what became of them. Changes nothing in the lake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from headrace.lake import paths, rows
from headrace.lake.selection import Selection
from headrace.lake.states import ORIGIN_SQL, connected, header, opened, register
from headrace.project import Project

_COLUMNS = """source, "table", topic, partition, "offset", appended_at, reason, "column", quarantined_at, headers,
origin, state"""
_STATES = ", ".join(f"count(*) FILTER (state = '{state}') AS {state}" for state in ("open", "replayed", "dropped"))


@dataclass(frozen=True, slots=True)
class Letter:
    """A quarantined row. `table` is the quarantine it lies in; `headers` is JSON or None; `raw` is None if unasked."""

    source: str
    table: str
    topic: str
    partition: int
    offset: int
    appended_at: datetime
    reason: str
    column: str | None
    quarantined_at: datetime
    headers: str | None
    origin: str
    state: str
    raw: bytes | None = None
    raw_key: bytes | None = None


def groups(project: Project, selection: Selection) -> list[dict[str, Any]]:
    """Counts of open, replayed and dropped rows by source, table, reason and column, with the first and last time."""
    with opened(project, selection) as connection:
        found: Any = connection.sql(
            f"""SELECT source, "table", reason, "column", {_STATES}, min(quarantined_at) AS first,
            max(quarantined_at) AS last FROM letters GROUP BY ALL ORDER BY source, "table", last DESC, reason"""
        )
        return found.to_arrow_table().to_pylist()


def open_topics(project: Project, selection: Selection) -> dict[str, int]:
    """Topic → how many of its quarantined rows are open."""
    with opened(project, selection) as connection:
        query = "SELECT topic, count(*) FROM letters WHERE state = 'open' GROUP BY topic ORDER BY topic"
        return dict(connection.execute(query).fetchall())


def find(
    project: Project, selection: Selection, state: str = "", topic: str = "", limit: int | None = None, raw: bool = True
) -> list[Letter]:
    """The rows in the order of their partitions, or, with a limit, the newest ones first."""
    with opened(project, selection) as connection:
        order = 'topic, partition, "offset"'
        if limit is not None:
            order = f"quarantined_at DESC, {order} DESC LIMIT {limit:d}"
        query = f"SELECT {_COLUMNS}{', raw, raw_key' if raw else ''} FROM letters WHERE ? IN ('', state)"
        query += f" AND ? IN ('', topic) ORDER BY {order}"
        table: Any = connection.sql(query, params=[state, topic]).to_arrow_table()
        batches = table.to_batches(max_chunksize=10_000)  # one at a time as Python objects: they are large
        return [Letter(**row) for batch in batches for row in batch.to_pylist()]


def landed(project: Project, table: str, letters: list[Letter]) -> set[str]:
    """Origins of those rows whose message was landed, too: changes without the image that broke the contract."""
    address = paths.landing(project, table)
    offsets = pa.table({"partition": [x.partition for x in letters], "offset": [x.offset for x in letters]})
    with connected() as connection:
        if not letters or not register(connection, "landing", address):
            return set()
        connection.register("wanted", offsets)
        query = f"""SELECT {ORIGIN_SQL} FROM landing
            WHERE "offset" BETWEEN (SELECT min("offset") FROM wanted) AND (SELECT max("offset") FROM wanted)
            AND (partition, "offset") IN (SELECT partition, "offset" FROM wanted)"""
        return {row[0] for row in connection.execute(query).fetchall()} & {x.origin for x in letters}


def again(project: Project, table: str, origins: set[str]) -> list[tuple[str, str | None]]:
    """Reason and column of each row in a table's quarantine that came by replaying one of the origins."""
    with connected() as connection:
        if not register(connection, "quarantine", paths.quarantine(project, table)):
            return []
        connection.register("origins", pa.table({"origin": sorted(origins)}))
        query = f'SELECT reason, "column" FROM quarantine WHERE {header(rows.ORIGIN)} IN (SELECT origin FROM origins)'
        return connection.execute(query).fetchall()
