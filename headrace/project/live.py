"""The project's tables as live views read them."""

from __future__ import annotations

from dataclasses import replace

from headrace.errors import HeadraceError, Place, Problem
from headrace.project.job import Job
from headrace.project.project import Project
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import Table, View


def live_tables(project: Project) -> dict[str, Table]:
    """Every table of a source by its name, with the contract's columns.

    Columns that came later and are not in the contract are left out, as in stream jobs: Flink reads the contract's.
    """
    modes = {source.name: source.mode for source in project.sources}
    return {
        name: Table(name, table.contract.columns, table.contract.key, modes[table.source])
        for name, table in project.tables.items()
    }


def live_view(project: Project, job: Job, generation: int = 0) -> View:
    """The view that a job with `live: true` means. Raises HeadraceError with what of it can't be kept exact."""
    if job.language != "sql":
        raise HeadraceError("a live view is SQL: what a function does can't be followed", place=Place(job.path))
    found = compile_live(job.name, job.text, live_tables(project))
    if found.view is None:
        wrong = [Problem(m.message, Place(job.path, m.line, m.column), m.hint) for m in found.mistakes]
        raise HeadraceError(*(wrong or [Problem("this is no SELECT that can be read", Place(job.path))]))
    return replace(found.view, seconds=project.settings.chunk_seconds, generation=generation)
