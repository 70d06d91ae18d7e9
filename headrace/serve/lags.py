"""How far each captured source was read when it was last checked, in the serving database."""

from __future__ import annotations

from typing import Any

from headrace.project import Project
from headrace.serve import schema
from headrace.serve.database import connect


def record(project: Project, rows: list[dict[str, Any]]) -> None:
    """Replaces rows of ops.sources: source, state, log_bytes, log_seconds, note. HeadraceError when it is away."""
    schema.ensure(project)
    with connect(project) as connection, connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO ops.sources (source, state, log_bytes, log_seconds, note, checked_at)
            VALUES (%(source)s, %(state)s, %(log_bytes)s, %(log_seconds)s, %(note)s, now())
            ON CONFLICT (source) DO UPDATE SET state = EXCLUDED.state, log_bytes = EXCLUDED.log_bytes,
            log_seconds = EXCLUDED.log_seconds, note = EXCLUDED.note, checked_at = now()""",
            rows,
        )
