"""The project's tables as live views read them."""

from __future__ import annotations

from dataclasses import replace

from headrace.errors import HeadraceError, Place, Problem
from headrace.project.contract import FREEZE, Contract
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
        name: Table(
            name,
            table.contract.columns,
            table.contract.key,
            modes[table.source],
            _messages(table.topic, table.contract),
        )
        for name, table in project.tables.items()
    }


def _messages(topic: str, contract: Contract) -> str:
    return f"{topic} {contract.event_id} {contract.horizon}" if contract.event_id else topic


def compiled(project: Project, job: Job) -> tuple[View | None, list[Problem]]:
    """The view that a job in SQL with `live: true` means, or what of it can't be kept exact."""
    found = compile_live(job.name, job.text, live_tables(project))
    wrong = [Problem(m.message, Place(job.path, m.line, m.column), m.hint) for m in found.mistakes]
    wrong += _frozen(project, job) if found.view else []
    return None if wrong else found.view, wrong


def _frozen(project: Project, job: Job) -> list[Problem]:
    """Landing puts a row with an unknown column into quarantine; Flink reads the contract's columns and counts it."""
    message = (
        "no live view can read {!r}: with schemaChange freeze only landing refuses rows that have an unknown column"
    )
    hint = "schemaChange: evolve or discard_column in schemas/{}.yaml, or leave `live` out"
    return [
        Problem(message.format(item.name), item.place, hint.format(item.name))
        for item in job.inputs
        if project.table(item.name).contract.schema_change == FREEZE
    ]


def live_view(project: Project, job: Job, generation: int = 0) -> View:
    """The view that a job with `live: true` means. Raises HeadraceError with what of it can't be kept exact."""
    if job.language != "sql":
        raise HeadraceError("a live view is SQL: what a function does can't be followed", place=Place(job.path))
    view, wrong = compiled(project, job)
    if view is None:
        raise HeadraceError(*(wrong or [Problem("this is no SELECT that can be read", Place(job.path))]))
    return replace(view, seconds=project.settings.chunk_seconds, generation=generation)
