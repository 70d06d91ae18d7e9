"""The history of certificates in the serving database."""

from __future__ import annotations

import json
from typing import Any

from headrace.project import Project
from headrace.serve import schema
from headrace.serve.database import connect

_COLUMNS = ("source", "table_name", "verdict", "position", "rows", "checksum", "quarantined", "note", "seconds")


def record(project: Project, rows: list[dict[str, Any]]) -> None:
    """Adds certificates to ops.certificates; `differences` says for each kind of difference its keys, all of them."""
    schema.ensure(project)
    names = (*_COLUMNS, "differences")
    values = ", ".join(f"%({name})s" for name in names)
    with connect(project) as connection, connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO ops.certificates ({', '.join(names)}) VALUES ({values})",  # type: ignore[arg-type]
            [row | {"differences": json.dumps(row["differences"])} for row in rows],
        )
