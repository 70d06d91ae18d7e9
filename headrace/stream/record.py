"""What Headrace remembers of a stream job, in ops.stream_jobs: enough to start it again where it was."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

# Columns of this room beside those of headrace.serve.schema: the shape of the job's state, and what was last done.
_OWN = ("shape", "note")


@dataclass(frozen=True)
class Record:
    """One job's row. `savepoint`: where it was last stopped or started from; `shape`: whether state still fits."""

    job: str
    flink_job_id: str = ""
    code_version: str = ""
    state: str = ""
    savepoint: str = ""
    error: str = ""
    shape: str = ""
    note: str = ""


def read(connection: psycopg.Connection, job: str) -> Record | None:
    """The record of a job; None when it never ran. Makes the room's own columns if they are missing."""
    known = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'ops' AND table_name = 'stream_jobs'"
    )
    missing = set(_OWN) - {row[0] for row in known}
    for column in sorted(missing):
        connection.execute(f"ALTER TABLE ops.stream_jobs ADD COLUMN IF NOT EXISTS {column} text")  # type: ignore[arg-type]
    names = ", ".join(f.name for f in fields(Record))
    row = connection.execute(f"SELECT {names} FROM ops.stream_jobs WHERE job = %s", (job,)).fetchone()  # type: ignore[arg-type]
    return Record(*(value or "" for value in row)) if row else None


def write(connection: psycopg.Connection, record: Record) -> None:
    """Stores the record, in place of the one before it."""
    names = [f.name for f in fields(Record)]
    changes = ", ".join(f"{n} = excluded.{n}" for n in names[1:])
    statement = (
        f"INSERT INTO ops.stream_jobs ({', '.join(names)}, updated_at) VALUES ({', '.join(['%s'] * len(names))}, now())"
        f" ON CONFLICT (job) DO UPDATE SET {changes}, updated_at = now()"
    )
    connection.execute(statement, astuple(record))  # type: ignore[arg-type]
