"""Changes of one key that share a source position: which of them came later is told by their offsets alone."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from headrace.lake import paths, rows, states
from headrace.project import Project


@dataclass(frozen=True)
class Place:
    """A change in the order of its key's changes. `first` is the offset at which it was sent first."""

    origin: str
    key: str
    epoch: int
    position: str
    partition: int
    offset: int
    first: int


def overtaken(project: Project, table: str, places: list[Place]) -> set[str]:
    """Origins of those changes that would undo a later one if they were sent again.

    All changes of a MariaDB transaction have one position (headrace.ingest.positions), and among them the greater
    offset wins: a change sent again would win over a later change of the same key in the same transaction. A later
    change that is itself among `places` does not count: it is sent again behind this one.
    """
    with states.connected() as connection:
        if not places or not states.register(connection, "landing", paths.landing(project, table)):
            return set()
        connection.register("places", pa.Table.from_pylist([vars(place) for place in places]))
        low, high = min(p.position for p in places), max(p.position for p in places)
        first = f'coalesce(TRY_CAST({states.header(rows.FIRST)} AS BIGINT), "offset")'
        found = connection.execute(
            f"""WITH landed AS (
              SELECT key, coalesce(epoch, 0) AS epoch, position, partition, {first} AS first FROM landing
              WHERE op IN ('r', 'c', 'u', 'd') AND position BETWEEN ? AND ?
              AND (partition, "offset") NOT IN (SELECT (partition, "offset") FROM places))
            SELECT DISTINCT p.origin FROM places AS p JOIN landed AS l
            ON l.key = p.key AND l.epoch = p.epoch AND l.position = p.position AND l.partition = p.partition
            WHERE l.first > p.first""",
            [low, high],
        )
        return {row[0] for row in found.fetchall()}
