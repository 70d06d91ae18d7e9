"""What every run of a view leaves behind: its row in ops.runs, whatever its end."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError
from headrace.project import Job, Project
from headrace.project.live import live_view
from headrace.project.personal import version as personal_version
from headrace.serve import masks, ops, schema
from headrace.serve.database import connect, locked
from headrace.serve.ops import Positions
from headrace.serve.publish import Superseded
from headrace.sql.live import tables

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Run:
    """How a run ended: 'succeeded', or 'unchanged': no input changed and there was nothing to do."""

    run_id: uuid.UUID
    view: str
    state: str
    rows: int
    seconds: float
    positions: Positions
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "run_id": str(self.run_id), "seconds": round(self.seconds, 2)}


@contextmanager
def recorded(project: Project, job: Job, full: bool) -> Iterator[tuple[psycopg.Connection, uuid.UUID]]:
    """Holds the view's lock for the block and records in ops.runs that a run began, and how it failed if it does.

    Yields the lock's connection and the run's id; the block records its success itself, with what it publishes.
    """
    schema.ensure(project)
    with locked(project, f"view {job.name}") as lock:
        run_id = ops.start(lock, job.name, code_version(project, job), full)
        try:
            yield lock, run_id
        except Superseded as error:
            failed(project, job, run_id, error, "superseded")
            raise
        except BaseException as error:
            failed(project, job, run_id, error)
            raise


def code_version(project: Project, job: Job) -> str:
    """Changes with the job's file, with a contract of a table that it names, with which columns are personal, and for
    a live view with our generators."""
    parts = [job.text, *filter(None, [personal_version(project, job)])]
    for table in sorted({i.table for i in job.inputs if i.table in project.tables}):
        contract = project.tables[table].contract
        parts += [table, contract.version, *(f"{c.name} {c.spark}" for c in contract.columns)]
    if job.live:
        parts.append(tables.version(live_view(project, job)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def failed(project: Project, job: Job, run_id: uuid.UUID, error: BaseException, state: str = "failed") -> None:
    """Records the failure on a connection of its own: the lock's may be what failed."""
    text = (
        "\n".join(p.render(project.root) for p in error.problems)
        if isinstance(error, HeadraceError)
        else f"{type(error).__name__}: {error}"
    )
    try:
        with connect(project) as connection:
            ops.finish(connection, run_id, state, error=masks.for_readers(connection, project, job.name, text))
    except Exception:  # the failure itself is raised; that nobody could write it down must not hide it
        pass
