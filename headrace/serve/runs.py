"""The runs of a batch view: when, how they ended, what they wrote and from which versions of which inputs."""

from __future__ import annotations

from typing import Any

from headrace.project import Project
from headrace.serve import schema
from headrace.serve.database import connect


def runs(project: Project, view: str, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` runs of a view, the newest first.

    Each is a row of ops.runs: run_id, started_at, finished_at, state, rows, lake_version (of batch.<view>), inputs
    (table or view → address@version; None for a run of an earlier Headrace), positions, code_version, full_run, error.
    """
    from psycopg.rows import dict_row

    schema.ensure(project)
    with connect(project, "reader") as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """SELECT run_id::text, started_at, finished_at, state, rows, lake_version, inputs, positions, code_version,
            full_run, error FROM ops.runs WHERE view = %s ORDER BY started_at DESC LIMIT %s""",
            (view, limit),
        ).fetchall()
