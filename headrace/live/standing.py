"""How live views stand, in a few words each: for `headrace status`."""

from __future__ import annotations

from datetime import UTC, datetime

from headrace.project import Project
from headrace.serve.database import connect

_PUBLISHED = """SELECT c.view, c.as_of, (SELECT r.state FROM ops.reconciliation AS r
  WHERE r.view = c.view AND r.version = c.version ORDER BY r.id DESC LIMIT 1) FROM ops.live_views AS c"""


def standing(project: Project) -> dict[str, str]:
    """Of each published live view: up to when its batch layer speaks, and whether both layers agreed at last."""
    import psycopg

    with connect(project, "reader") as connection:
        try:
            rows = connection.execute(_PUBLISHED).fetchall()
        except psycopg.errors.UndefinedTable:
            return {}
    return {view: told(as_of, state) for view, as_of, state in rows}


def told(as_of: datetime, state: str | None) -> str:
    """The words; `state` is that of the newest reconciliation of the version that readers see."""
    layers = f"layers {state}" if state else "layers not compared yet"
    return f"batch layer to {as_of.astimezone(UTC):%H:%M:%S} UTC, {layers}"
