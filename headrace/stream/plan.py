"""What a stream job is run with: its name at Flink, its inputs as SQL, its options and its code version."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from headrace.errors import HeadraceError, Place
from headrace.project import Job, Project
from headrace.project.personal import version as personal_version
from headrace.sql import flink

CHECKPOINT_SECONDS = 3
# A partition silent for so long holds back no watermark. Longer than a killed server takes to come back: what
# Connect reads late, after another input's time went on alone, would come too late for its windows.
IDLE_SECONDS = 60
# What of a plan keeps state; sources and sinks keep their own, which always fits.
_STATEFUL = re.compile(
    r"Aggregate|Join|Deduplicate|Rank|Limit|Match|Sort|Normalize|Window|Materialize|PythonCalc|ProcessTableFunction"
)


def group(project: Project, job: Job) -> str:
    """The consumer group in which the job's checkpoints commit their offsets."""
    return f"headrace-{project.settings.name}-{job.name}"


def flink_name(project: Project, job: Job | str) -> str:
    """The job's name at Flink: what tells its runs from other jobs."""
    return f"headrace.{project.settings.name}.{job if isinstance(job, str) else job.name}"


def job_name(project: Project, at_flink: str) -> str:
    """The other way round, for a name of this project's."""
    return at_flink.removeprefix(flink_name(project, ""))


def input_statements(project: Project, job: Job) -> list[str]:
    """The statements that make every `<table>_changes` the job reads."""
    statements = []
    for table in {i.table: project.table(i.table) for i in job.inputs}.values():
        bare = project.source(table.source).mode == "events"
        statements += flink.inputs(table, project.addresses.bus_java(flink.SHADED), group(project, job), bare)
    return statements


def words(project: Project, job: Job) -> set[str]:
    """The names a job's query may use: for did-you-mean."""
    tables = {i.table for i in job.inputs}
    columns = {c for t in tables for c in project.table(t).contract.names}
    return columns | {f"{t}_changes" for t in project.tables} | set(flink.OWN)


def code_version(project: Project, job: Job) -> str:
    """Changes when the job would run differently: its text, its contracts' meaning (also which columns of the result
    are personal), its topic names, or our SQL."""
    tables = (project.table(t) for t in sorted({i.table for i in job.inputs}))
    made = [
        flink.changes_view(t.contract, project.source(t.source).mode == "events")
        + flink.raw_table(t, {"bootstrap.servers": ""}, group(project, job), False)
        for t in tables
    ]
    text = "\n".join([flink.GENERATOR, job.text, *made, *filter(None, [personal_version(project, job)])])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def basics(at_flink: str, parallelism: int) -> dict[str, str]:
    """Flink's options that every job of Headrace's has; `at_flink` is its name there."""
    return {
        "execution.runtime-mode": "streaming",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.interval": f"{CHECKPOINT_SECONDS} s",
        "parallelism.default": str(parallelism),
        "pipeline.name": at_flink,
        "table.local-time-zone": "UTC",
    }


def options(project: Project, job: Job) -> dict[str, str]:
    """Flink's options for the job's session."""
    given = basics(flink_name(project, job), job.parallelism) | {
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "pipeline.global-job-parameters": f"headrace.code:{code_version(project, job)}",
        "table.exec.source.idle-timeout": f"{IDLE_SECONDS} s",
    }
    folder = checkpoints(project, job)
    if folder:
        given["execution.checkpointing.dir"] = folder.as_uri()
        given["execution.checkpointing.savepoint-dir"] = savepoints(project, job).as_uri()  # type: ignore[union-attr]
    return given


def checkpoints(project: Project, job: Job) -> Path | None:
    """The job's own folder of checkpoints, whatever id each run has; None when the cluster is not ours to look into."""
    return None if project.settings.flink else project.state / "flink" / "checkpoints" / job.name


def savepoints(project: Project, job: Job) -> Path | None:
    """The job's own folder of savepoints; None when the cluster is not ours."""
    return None if project.settings.flink else project.state / "flink" / "savepoints" / job.name


def shape(explained: str) -> str:
    """A hash of the operators that keep state, from Flink's EXPLAIN: state is restored only into the same ones.

    Flink itself would also fit, say, the sum of one column into the sum of another.
    """
    steps = (line.strip(" :+-") for line in explained.split("== Optimized Execution Plan ==")[-1].splitlines())
    kept = [step for step in steps if _STATEFUL.match(step.split("(")[0]) or _STATEFUL.search(step.split("(")[0])]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def check_key(job: Job, explained: str) -> None:
    """Raises HeadraceError when the query updates its rows by another key than the one its header declares."""
    if "upsertMaterialize=[true]" not in explained:
        return
    grouped = re.findall(r"GroupAggregate\(groupBy=\[([^\]]*)\]", explained)
    line = next((n for n, text in enumerate(job.text.splitlines(), 1) if "key:" in text), 1)
    hint = (
        "the query groups by " + grouped[0] + f"\n-- key: {grouped[0]}"
        if grouped
        else "declare the columns that identify one row of the result at any time"
    )
    raise HeadraceError(
        f"the key {', '.join(job.key)} is not the query's key: its rows change, and two may have this key at once",
        place=Place(job.path, line),
        hint=hint,
    )
