"""The record of quality checks in the serving database."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_COLUMNS = ("table_name", "check_name", "kind", "severity", "passed", "rows", "unexpected", "observed", "examples",
            "expectation", "note", "reason", "table_version", "definition", "seconds")  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """What a check said about one version of a table."""

    passed: bool | None
    rows: int
    unexpected: int | None
    observed: str
    examples: tuple[str, ...]
    note: str


def record(connection: psycopg.Connection, rows: list[dict[str, Any]], run_id: uuid.UUID) -> None:
    """Adds the results of one run to ops.quality, all in one statement's transaction."""
    names = ("run_id", *_COLUMNS)
    values = ", ".join(f"%({name})s" for name in names)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO ops.quality ({', '.join(names)}) VALUES ({values})",  # type: ignore[arg-type]
            [row | {"run_id": run_id, "examples": json.dumps(row["examples"])} for row in rows],
        )


def results(connection: psycopg.Connection, table: str, version: str) -> dict[str, Recorded]:
    """Definition of a check → the newest that was recorded about this version of the table."""
    found = connection.execute(
        """SELECT DISTINCT ON (definition) definition, passed, rows, unexpected, observed, examples, note
        FROM ops.quality WHERE table_name = %s AND table_version = %s ORDER BY definition, id DESC""",
        (table, version),
    ).fetchall()
    return {row[0]: Recorded(row[1], row[2], row[3], row[4], tuple(row[5]), row[6]) for row in found}


def accepted(connection: psycopg.Connection, table: str) -> int | None:
    """The number of rows that the table had when its rowCountChange passed last."""
    found = connection.execute(
        """SELECT rows FROM ops.quality WHERE table_name = %s AND kind = 'rowCountChange' AND passed
        ORDER BY id DESC LIMIT 1""",
        (table,),
    ).fetchone()
    return found[0] if found else None
