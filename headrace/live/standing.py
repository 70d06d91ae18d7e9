"""How live views stand, in a few words each: for `headrace status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve.database import connect
from headrace.stream.flink_rest import Flink
from headrace.stream.speed_plan import prefix, view_and_version

_PUBLISHED = """SELECT c.view, c.version, c.as_of, (SELECT r.state FROM ops.reconciliation AS r
  WHERE r.view = c.view AND r.version = c.version ORDER BY r.id DESC LIMIT 1) FROM ops.live_views AS c"""
_AT_FLINK = {"RUNNING": "runs", "": "is not there", None: "is unknown: Flink does not answer"}


def standing(project: Project) -> dict[str, str]:
    """Of each published live view: up to when the batch layer speaks, what its speed job does, whether both agreed."""
    import psycopg

    with connect(project, "reader") as connection:
        try:
            rows = connection.execute(_PUBLISHED).fetchall()
        except psycopg.errors.UndefinedTable:
            return {}
    jobs = _jobs(project) if rows else {}
    return {
        view: told(as_of, None if jobs is None else jobs.get((view, version), ""), state)
        for view, version, as_of, state in rows
    }


def told(as_of: datetime, job: str | None, state: str | None) -> str:
    """The words. `job` is Flink's state of the speed job, '' where there is none, None where Flink does not answer."""
    layers = f"layers {state}" if state else "layers not compared yet"
    speed = _AT_FLINK.get(job) or f"is {str(job).lower()}"
    return f"batch layer to {as_of.astimezone(UTC):%H:%M:%S} UTC, speed job {speed}, {layers}"


def _jobs(project: Project) -> dict[tuple[str, str], str] | None:
    """(view, version) → Flink's state of its speed job; None when Flink does not answer."""
    try:
        found: list[dict[str, Any]] = Flink(project.addresses.flink_rest).jobs()
    except HeadraceError:
        return None
    ours = [job for job in found if job["name"].startswith(prefix(project))]
    return {view_and_version(project, job["name"]): job["state"] for job in ours}
