"""What Headrace remembers of a stream job, in ops.stream_jobs: enough to start it again where it was."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg


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
    """The record of a job; None when it never ran."""
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
