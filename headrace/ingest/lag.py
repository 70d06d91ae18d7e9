"""How far a captured source is read: what its database keeps of its log for us, and the age of what came last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
import pymysql

from headrace.errors import HeadraceError
from headrace.ingest import bus, database, topics
from headrace.project import Project, Source
from headrace.project.limits import shown


@dataclass(frozen=True)
class LogLag:
    """`held` is in bytes: of PostgreSQL what its slot keeps on disk, of MariaDB what is not read yet. `seconds` is the
    age of the newest change on the bus; since a heartbeat changes something every ten seconds, a source that flows is
    some ten seconds old at most. None where nobody can say, and `wrong` then says why.
    """

    source: str
    held: int | None = None
    seconds: float | None = None
    wrong: str = ""
    is_away: bool = False  # nobody could be asked

    @property
    def text(self) -> str:
        log = "" if self.held is None else f"log {shown(self.held)}"
        return ", ".join(filter(None, [log, "" if self.seconds is None else f"{self.seconds:.0f} s old"]))


def measure(project: Project, source: Source) -> LogLag:
    """The lag of a captured source. Changes nothing and raises nothing: what is away is named in `wrong`."""
    try:
        newest = _newest(project, source)
        with database.connect(project, source) as cursor:
            held = _slot(project, source, cursor) if source.kind == "postgresql" else _binlog(cursor, newest)
            clock = "extract(epoch FROM clock_timestamp())" if source.kind == "postgresql" else "unix_timestamp(now(6))"
            cursor.execute(f"SELECT {clock}")
            now = float(cursor.fetchone()[0])
        seconds = max(0.0, now - newest["ts_ms"] / 1000) if newest else None
        return LogLag(source.name, held, seconds, _missing(source, held))
    except HeadraceError as error:
        return LogLag(source.name, wrong=error.problems[0].message, is_away=True)
    except (psycopg.Error, pymysql.err.MySQLError) as error:
        said = f"its log can't be asked: {str(error).strip().splitlines()[0]}"
        return LogLag(source.name, wrong=said, is_away=True)


def _missing(source: Source, held: int | None) -> str:
    if held is not None:
        return ""
    said = (
        "it has no replication slot"
        if source.kind == "postgresql"
        else "nothing of its log was read yet, or it is gone"
    )
    return f"{said}: what changes now is lost until it is snapshotted"


def _newest(project: Project, source: Source) -> dict[str, Any] | None:
    """The `source` block of the newest marker or heartbeat that came through the connector."""
    message = bus.newest(project, topics.marker_topic(source))
    return orjson.loads(message.value()).get("source") if message and message.value() else None


def _slot(project: Project, source: Source, cursor: Any) -> int | None:
    cursor.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots"
        " WHERE slot_name = %s AND restart_lsn IS NOT NULL AND coalesce(wal_status, '') <> 'lost'",
        (topics.own_name(project, source),),
    )
    row = cursor.fetchone()
    return None if row is None else max(0, int(row[0]))


def _binlog(cursor: Any, newest: dict[str, Any] | None) -> int | None:
    cursor.execute("SHOW BINARY LOGS")
    return unread([(str(row[0]), int(row[1])) for row in cursor.fetchall()], newest)


def unread(logs: list[tuple[str, int]], newest: dict[str, Any] | None) -> int | None:
    """Bytes of MariaDB's log files, given with their sizes in their order, behind the newest change that came."""
    names = [name for name, _ in logs]
    if newest is None or newest.get("file") not in names:
        return None
    behind = logs[names.index(newest["file"]) :]
    return max(0, sum(size for _, size in behind) - int(newest["pos"]))
