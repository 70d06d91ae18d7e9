"""The record of runs in the serving database: what ran, what is published, what failed for good."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headrace.project import Project
from headrace.serve import masks
from headrace.serve.database import connect

if TYPE_CHECKING:
    import psycopg

_OPEN = "replayed_at IS NULL AND dropped_at IS NULL"  # of a row in ops.dead_jobs
Positions = dict[str, dict[int, int]]  # table → partition → next offset


@dataclass(frozen=True)
class Published:
    """What of a view readers see: the run it came from, the positions it covers and the versions of its inputs."""

    run_id: uuid.UUID
    positions: Positions
    code_version: str
    inputs: dict[str, str] = field(default_factory=dict)
    lake_version: int = -1
    rows: int = 0


def published(connection: psycopg.Connection, view: str, lock: bool = False) -> Published | None:
    """The published run of a view, or None when there is none; `lock` keeps the row until the transaction ends."""
    query = "SELECT run_id, positions, code_version, inputs, lake_version, rows FROM ops.views WHERE view = %s"
    row = connection.execute(query + (" FOR UPDATE" if lock else ""), (view,)).fetchone()
    if row is None:
        return None
    return Published(row[0], from_json(row[1]), row[2], row[3], -1 if row[4] is None else row[4], row[5] or 0)


def publish(
    connection: psycopg.Connection,
    view: str,
    run_id: uuid.UUID,
    positions: Positions,
    code_version: str,
    inputs: dict[str, str] | None = None,
    lake_version: int | None = None,
) -> None:
    """Records what readers of a view see, in the transaction that shows it to them."""
    connection.execute(
        """INSERT INTO ops.views (view, run_id, positions, published_at, code_version, inputs, lake_version)
        VALUES (%s, %s, %s, now(), %s, %s, %s) ON CONFLICT (view) DO UPDATE SET run_id = excluded.run_id,
        positions = excluded.positions, published_at = excluded.published_at, code_version = excluded.code_version,
        inputs = excluded.inputs, lake_version = excluded.lake_version""",
        (view, run_id, json.dumps(positions), code_version, json.dumps(inputs or {}), lake_version),
    )


def start(connection: psycopg.Connection, view: str, code_version: str, full: bool) -> uuid.UUID:
    """Records that a run began. Only the holder of the view's lock calls it: earlier 'running' ones were killed."""
    run_id = uuid.uuid4()
    connection.execute(
        """UPDATE ops.runs SET state = 'failed', finished_at = now(), error = 'the run was killed'
        WHERE view = %s AND state = 'running'""",
        (view,),
    )
    connection.execute(
        "INSERT INTO ops.runs (run_id, view, state, code_version, full_run) VALUES (%s, %s, 'running', %s, %s)",
        (run_id, view, code_version, full),
    )
    return run_id


def finish(
    connection: psycopg.Connection,
    run_id: uuid.UUID,
    state: str,
    error: str = "",
    rows: int | None = None,
    positions: Positions | None = None,
    inputs: dict[str, str] | None = None,
    lake_version: int | None = None,
) -> None:
    """Records how a run ended. A success also marks the job's rows in ops.dead_jobs as replayed.

    `inputs` are the versions that it read (table or view → address@version), `lake_version` the one that it wrote.
    """
    connection.execute(
        """UPDATE ops.runs SET state = %s, finished_at = now(), error = %s, rows = %s, positions = %s, inputs = %s,
        lake_version = %s WHERE run_id = %s""",
        (state, error or None, rows, _text(positions), _text(inputs), lake_version, run_id),
    )
    if state != "failed":
        connection.execute(
            f"""UPDATE ops.dead_jobs SET replayed_at = now() WHERE kind = 'batch' AND {_OPEN}
            AND job = (SELECT view FROM ops.runs WHERE run_id = %s)""",
            (run_id,),
        )


def dead(
    project: Project, job: str, kind: str, error: str, positions: Positions | None = None, command: str = ""
) -> None:
    """Records that a job failed for good, with the command that runs it again."""
    command = command or f"headrace -C {project.root} " + (f"source pull {job}" if kind == "source" else f"run {job}")
    with connect(project) as connection:
        if positions is None:
            known = published(connection, job)
            positions = known.positions if known else {}
        connection.execute(
            "INSERT INTO ops.dead_jobs (job, kind, error, positions, replay_command) VALUES (%s, %s, %s, %s, %s)",
            (job, kind, masks.for_readers(connection, project, job, error), json.dumps(positions), command),
        )


def replayed(project: Project, job: str, kind: str) -> None:
    """Closes what failed of a job: it succeeded since."""
    import psycopg

    query = f"UPDATE ops.dead_jobs SET replayed_at = now() WHERE job = %s AND kind = %s AND {_OPEN}"
    with connect(project) as connection, suppress(psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        connection.execute(query, (job, kind))


def drop_dead(project: Project, job: str, why: str) -> None:
    """Closes what failed of a job with somebody's reason."""
    with connect(project) as connection:
        query = f"UPDATE ops.dead_jobs SET dropped_at = now(), dropped_why = %s WHERE job = %s AND {_OPEN}"
        connection.execute(query, (why, job))


def dead_jobs(project: Project) -> list[dict[str, Any]]:
    """Jobs that failed for good and neither succeeded since nor were given up, the newest first: job, kind, times,
    failed_at, error and the command that runs it again."""
    import psycopg
    from psycopg.rows import dict_row

    query = f"""SELECT DISTINCT ON (job, kind) job, kind, count(*) OVER (PARTITION BY job, kind) AS times, failed_at,
        error, replay_command AS command FROM ops.dead_jobs WHERE {_OPEN} ORDER BY job, kind, id DESC"""
    with connect(project) as connection:
        try:
            found = connection.cursor(row_factory=dict_row).execute(query).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):  # nothing was ever run here
            return []
    return sorted(found, key=lambda row: row["failed_at"], reverse=True)


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def to_json(positions: Positions) -> str:
    return json.dumps(positions)


def from_json(value: dict[str, dict[str, int]] | None) -> Positions:
    """Positions as they were stored: JSON's keys are strings."""
    return {table: {int(p): int(offset) for p, offset in parts.items()} for table, parts in (value or {}).items()}


def behind(mine: Positions, theirs: Positions) -> bool:
    """Whether `mine` lacks anything that `theirs` covers, in a table both know."""
    return any(mine[t].get(p, 0) < offset for t, parts in theirs.items() if t in mine for p, offset in parts.items())


def live_versions(connection: psycopg.Connection) -> dict[str, str]:
    """Live view → the version of it that readers see; empty before the first one was published."""
    there = connection.execute("SELECT to_regclass('ops.live_views')").fetchone()
    if there is None or there[0] is None:
        return {}
    return dict(connection.execute("SELECT view, version FROM ops.live_views").fetchall())
