"""The history of certificates in the serving database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from headrace.project import Project
from headrace.project.personal import personal
from headrace.serve import masks, schema
from headrace.serve.database import connect
from headrace.sql.lineage import OPEN

if TYPE_CHECKING:
    import psycopg

_COLUMNS = ("source", "table_name", "verdict", "position", "rows", "checksum", "quarantined", "note", "seconds")


def record(project: Project, rows: list[dict[str, Any]]) -> None:
    """Adds certificates to ops.certificates; `differences` says for each kind of difference its keys, all of them.

    Keys and rows that differ are shown there without personal values: readers see this table.
    """
    schema.ensure(project)
    names = (*_COLUMNS, "differences")
    values = ", ".join(f"%({name})s" for name in names)
    with connect(project) as connection, connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO ops.certificates ({', '.join(names)}) VALUES ({values})",  # type: ignore[arg-type]
            [row | _for_readers(connection, project, row) for row in rows],
        )


def _for_readers(connection: psycopg.Connection, project: Project, row: dict[str, Any]) -> dict[str, str]:
    name = row["table_name"]
    note = row["note"] or ""
    if name not in project.tables:  # what is noted about a table quotes no values
        note = masks.for_readers(connection, project, name, note)
    return {
        "note": note,
        "differences": json.dumps({k: _masked(project, name, v) for k, v in row["differences"].items()}),
    }


def _masked(project: Project, name: str, shown: list[Any]) -> list[Any]:
    """The keys of a table or the rows of a view (as JSON), less what is personal in them."""
    if name in project.tables:
        contract = project.table(name).contract
        return [masks.MASK] * len(shown) if any(c.key and c.personal for c in contract.columns) else shown
    job = next((j for j in project.jobs if j.name == name), None)
    origins = personal(project, job) if job else OPEN
    rows = []
    for text in shown:
        row = json.loads(text)
        hidden = origins.among(row)
        rows.append(json.dumps(row | dict.fromkeys(hidden, masks.MASK)) if hidden else text)
    return rows
