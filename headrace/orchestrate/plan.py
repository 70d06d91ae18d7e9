"""What should run when, for a whole project, as frozen plans; `headrace.orchestrate.dags` makes Airflow's objects.

A view that runs 'on new data' is scheduled on one asset of its own, not on the assets of its inputs: Airflow starts a
run for each event, so two inputs announced at once could be two runs, and one announcement would reach views that are
still busy. The pulse decides who is due and sends each due view one event. Inputs are shown as the task's inlets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from zlib import crc32

from headrace.errors import Place
from headrace.orchestrate import docs, names
from headrace.project import Job, Project, Source
from headrace.project.job import ON_NEW_DATA

HEALTH_MINUTES = 10
ENSURE_MINUTES = 5
QUALITY_MINUTES = 60


@dataclass(frozen=True)
class Step:
    """One call of the command line, with how often it is tried again."""

    name: str
    arguments: tuple[str, ...]
    retries: int = 4
    timeout: timedelta = timedelta(hours=1)
    reads: tuple[str, ...] = ()  # tables and batch views, shown as lineage
    makes: str = ""  # the batch view this step makes
    dead_job: str = ""  # the job that gets a row in ops.dead_jobs when the last try has failed


@dataclass(frozen=True)
class Plan:
    """One DAG of one step. `schedule` is a cron expression, or empty: then an event on `asset` starts it."""

    dag_id: str
    step: Step
    description: str
    doc: str
    place: Place
    owner: str = "headrace"
    schedule: str = ""
    asset: str = ""
    tags: tuple[str, ...] = field(default=())
    soon: bool = False  # the first run when the DAG appears, not at the schedule's next time


def plans(project: Project) -> tuple[Plan, ...]:
    """Every DAG of the project. Files with mistakes are not in the project, so they have none."""
    found: list[Plan] = []
    for source in project.sources:
        found += _source(source)
    if any(job.kind == "batch" for job in project.jobs):
        found.append(_views(project))
    for job in project.jobs:
        found += [_batch(project, job)] if job.kind == "batch" else _stream(project, job)
    return tuple(found)


def _source(source: Source) -> list[Plan]:
    dag_id, name = names.source_dag(source.name), source.name
    tables = ", ".join(t.name for t in source.tables)
    tags = ("source", source.mode, f"source:{name}")
    doc = docs.source(source)
    found = [
        Plan(
            dag_id,
            Step("health", ("source", "check", name, "--act"), retries=2, timeout=timedelta(minutes=5)),
            f"Is {name} reachable, and do its changes arrive? ({tables})",
            doc,
            source.place,
            schedule=every(HEALTH_MINUTES, dag_id),
            tags=(*tags, "health"),
        ),
        Plan(
            f"{dag_id}__compact",
            Step("compact", ("source", "compact", name)),
            f"Joins the small files of {name}'s landing tables ({tables})",
            doc,
            source.place,
            schedule=f"{_offset(dag_id, 60)} 3 * * *",
            tags=(*tags, "compaction"),
        ),
    ]
    if source.mode == "cdc":
        found.append(
            Plan(
                f"{dag_id}__audit",
                Step("audit", ("audit", name), retries=1),
                f"Proves that {name}, what landed of it and its current tables hold the same rows ({tables})",
                doc,
                source.place,
                schedule=f"{_offset(dag_id, 60)} 4 * * *",
                tags=(*tags, "audit"),
            )
        )
    if any(not check.implied for table in source.tables for check in table.contract.checks):
        found.append(
            Plan(
                f"{dag_id}__quality",
                Step("quality", ("quality", name), retries=1),
                f"Runs the quality checks of {name}'s contracts on what has landed ({tables})",
                doc,
                source.place,
                schedule=every(QUALITY_MINUTES, f"{dag_id}__quality"),
                tags=(*tags, "quality"),
            )
        )
    if source.mode == "cron":
        found.append(
            Plan(
                f"{dag_id}__pull",
                Step("pull", ("source", "pull", name), makes="", dead_job=name),
                f"Pulls what is new in {name} ({tables})",
                doc,
                source.place,
                schedule=source.schedule,
                tags=(*tags, "pull"),
                soon=True,
            )
        )
    return found


def _views(project: Project) -> Plan:
    doc = "Every batch view is computed once more from the inputs that its published run read, and compared row by row."
    return Plan(
        names.VIEWS_AUDIT,
        Step("audit", ("audit", "--views"), retries=1, timeout=timedelta(hours=4)),
        "Proves that batch views hold what their jobs compute",
        doc,
        Place(project.root / "headrace.yml", 1),
        schedule=f"{_offset(names.VIEWS_AUDIT, 60)} 5 * * *",
        tags=("batch", "audit"),
    )


def _batch(project: Project, job: Job) -> Plan:
    on_data = job.schedule == ON_NEW_DATA
    reads = tuple(dict.fromkeys(i.table if i.table in project.tables else i.name for i in job.inputs))
    return Plan(
        names.batch_dag(job.name),
        Step("run", ("run", job.name), timeout=timedelta(hours=4), reads=reads, makes=job.name, dead_job=job.name),
        job.description or f"The batch view {job.name}",
        docs.job(project, job),
        header_place(job, "schedule"),
        owner=job.options.get("owner", "headrace"),
        schedule="" if on_data else job.schedule,
        asset=names.due_uri(project, job.name) if on_data else "",
        tags=(
            "batch",
            job.language,
            ON_NEW_DATA if on_data else "scheduled",
            *(("live",) if job.options.get("live") == "true" else ()),
        ),
        soon=not on_data,
    )


def _stream(project: Project, job: Job) -> list[Plan]:
    dag_id = names.stream_dag(job.name)
    owner, doc, place = job.options.get("owner", "headrace"), docs.job(project, job), Place(job.path, 1)
    tags = ("stream", job.language)
    reads = tuple(dict.fromkeys(i.table for i in job.inputs))
    ensure = Step("ensure", ("run", job.name, "--ensure"), retries=2, timeout=timedelta(minutes=15), reads=reads)
    savepoint = Step("savepoint", ("run", job.name, "--savepoint"), timeout=timedelta(minutes=15))
    return [
        Plan(
            dag_id,
            ensure,
            job.description or f"Keeps the stream job {job.name} running",
            doc,
            place,
            owner,
            schedule=every(ENSURE_MINUTES, dag_id),
            tags=(*tags, "keeps running"),
            soon=True,
        ),
        Plan(
            f"{dag_id}__savepoint",
            savepoint,
            f"A savepoint of {job.name} every six hours",
            doc,
            place,
            owner,
            schedule=f"{_offset(dag_id, 60)} */6 * * *",
            tags=(*tags, "savepoint"),
        ),
    ]


def every(minutes: int, name: str) -> str:
    """A cron expression for every `minutes`, shifted by the name: so that not all DAGs start in the same second."""
    return f"{_offset(name, minutes)}-59/{minutes} * * * *"


def header_place(job: Job, option: str) -> Place:
    """The header line of an option, or the job's first line where the header doesn't say it."""
    for number, line in enumerate(job.text.splitlines(), 1):
        if not line.startswith(("--", "#")):
            break
        words = line.lstrip("-# ")
        if words.startswith(f"{option}:"):
            return Place(Path(job.path), number, line.index(option) + 1)
    return Place(Path(job.path), 1)


def _offset(name: str, size: int) -> int:
    return crc32(name.encode()) % size
