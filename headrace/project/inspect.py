"""Every mistake of a project that shows without an engine: what loading finds, and what is wrong inside the queries.

Loading is kept quick, since workers and Airflow do it often; this reads every query's columns too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.header import read_header
from headrace.project.job import Job
from headrace.project.live import compiled
from headrace.project.observed import evolved, kept
from headrace.project.project import Project, read_folder
from headrace.project.settings import Settings, read_settings
from headrace.sql.batch_query import examine_batch
from headrace.sql.columns import Columns
from headrace.sql.mistake import Mistake
from headrace.sql.stream_query import absent, examine_stream, names

# Columns that the other readings of a table have beside the contract's.
CHANGES = ("op", "event_time", "appended_at")
HISTORY = ("valid_from", "valid_to")


def inspect(root: Path) -> tuple[Project, tuple[Problem, ...]]:
    """The project and every mistake in every file of it, in order of file and line. Never raises for a file.

    What only follows from another mistake is not repeated: mend that, and look again.

    A project whose headrace.yml is wrong is read with default settings, so that the mistakes of other files show too.
    """
    root = root.resolve()
    problems: list[Problem] = []
    try:
        settings = read_settings(root / "headrace.yml")
    except HeadraceError as error:
        problems += error.problems
        settings = Settings(name="unnamed")  # type: ignore[call-arg]
    project = read_folder(root, settings)
    problems += project.problems
    columns = _columns(project, seen=True)
    streamed = _columns(project, seen=False)  # Flink reads what the contract names
    for job in _in_order(project.jobs):
        problems += _parallel(job)
        if job.language != "sql":
            columns[job.name] = None
            problems += _live(job)
        elif job.kind == "batch":
            found = examine_batch(job.text, {i.name: columns.get(i.name) for i in job.inputs})
            problems += _placed(job, found.mistakes)
            if job.live and not found.mistakes:
                problems += compiled(project, job)[1]
            columns[job.name] = None if found.mistakes else found.outputs
        else:
            problems += _placed(job, examine_stream(job.text, {i.name: streamed.get(i.name) for i in job.inputs}))
            problems += _keys(job)
    unique = dict.fromkeys(p for p in problems if not p.follows)
    return project, tuple(sorted(unique, key=lambda p: _order(p, root)))


def _columns(project: Project, seen: bool) -> dict[str, Columns]:
    """The columns of everything a job can read, as far as the contracts say them; `seen`: and those that came since."""
    columns: dict[str, Columns] = {}
    for name, table in project.tables.items():
        contract = evolved(table.contract, kept(project.state, name)) if seen else table.contract
        names = contract.names
        columns[name] = names
        columns[f"{name}_changes"] = tuple(dict.fromkeys((*names, *CHANGES)))
        columns[f"{name}_history"] = tuple(dict.fromkeys((*names, *HISTORY)))
    return columns


def _in_order(jobs: Iterable[Job]) -> list[Job]:
    """Jobs so that a view comes behind the views it reads. Circles were left out when the project was read."""
    by_name = {j.name: j for j in jobs if j.kind == "batch"}
    ordered: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.name not in ordered:
            for item in job.inputs:
                if item.name in by_name and job.kind == "batch" and item.name != job.name:
                    add(by_name[item.name])
            ordered.setdefault(job.name, job)

    for job in jobs:
        add(job)
    return list(ordered.values())


def _placed(job: Job, mistakes: Iterable[Mistake]) -> list[Problem]:
    return [Problem(m.message, Place(job.path, m.line, m.column), m.hint) for m in mistakes]


def _keys(job: Job) -> list[Problem]:
    missing = absent(job.text, job.key)
    if not missing:
        return []
    place = read_header(job.path, job.text, job.kind, []).places.get("key", Place(job.path, 1))
    near = did_you_mean(missing[0], names(job.text))
    hint = near if near.startswith("did you mean") else "select it, or name other columns of the query"
    return [Problem(f"key: the query gives no column {missing[0]!r}", place, hint)]


def _live(job: Job) -> list[Problem]:
    if not job.live:
        return []
    place = read_header(job.path, job.text, job.kind, []).places["live"]
    return [
        Problem("a live view is SQL: what a function does can't be followed", place, "write a SELECT, or live: false")
    ]


def _parallel(job: Job) -> list[Problem]:
    if job.kind == "stream" or job.live or "parallelism" not in job.options:
        return []
    place = read_header(job.path, job.text, job.kind, []).places["parallelism"]
    return [Problem("parallelism is of jobs at Flink, and this view has none", place, "live: true, or leave it out")]


def _order(problem: Problem, root: Path) -> tuple[bool, str, int, int]:
    if not problem.place:
        return False, "", 0, 0
    path = problem.place.path
    inside = path.is_relative_to(root)
    return inside and path.parent != root, str(path), problem.place.line, problem.place.column
