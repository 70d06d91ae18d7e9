"""What the speed job of a live view is run with: its name at Flink, its statements and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.project import Project
from headrace.sql.flink import SHADED, raw_table
from headrace.sql.live import dimension, flink, tables
from headrace.sql.live.tree import View
from headrace.stream import plan
from headrace.stream.sink import jdbc

# How long Flink keeps a group (key, chunk, partition) that gets no rows, and an event's id beyond its horizon. A chunk
# gets no rows after its length, ten seconds, plus the time that rows are on their way; that time is bounded by half of
# this, since a job that was down for longer begins again at the cut. Where a row comes later all the same, the speed
# table's trigger finds it: its first offset lies behind the known one, so the row stays as it is, marked as lost.
KEPT_SECONDS = 3600
LONGEST_OUTAGE = KEPT_SECONDS / 2
SINCE = "headrace.since"  # parameter of a running job: the first chunk that it counts


@dataclass(frozen=True)
class Begin:
    """Where a speed job without state begins."""

    since: int  # the first chunk that counts
    offsets: dict[str, dict[int, int]]  # table → partition → first offset to read: driving table and joined tables


def prefix(project: Project) -> str:
    """What the names of this project's speed jobs at Flink begin with; names of stream jobs don't."""
    return f"headrace-live.{project.settings.name}."


def flink_name(project: Project, name: str, version: str) -> str:
    return f"{prefix(project)}{name}.{version}"


def view_and_version(project: Project, at_flink: str) -> tuple[str, str]:
    """The other way round, for a name of this project's."""
    name, _, version = at_flink.removeprefix(prefix(project)).rpartition(".")
    return name, version


def group(project: Project, name: str, version: str) -> str:
    """The consumer group in which the job's checkpoints commit their offsets."""
    return f"headrace-live-{project.settings.name}-{name}-{version}"


def topics(project: Project, view: View) -> dict[str, str]:
    """Table → topic, of the driving table and of each joined one."""
    names = [view.table.name, *(d.table.name for d in view.dimensions)]
    return {name: project.table(name).topic for name in names}


def checkpoints(project: Project, name: str, version: str) -> Path | None:
    """The job's own folder of checkpoints, of use to the running job only; None when the cluster is not ours."""
    return None if project.settings.flink else project.state / "flink" / "live" / f"{name}.{version}"


def options(project: Project, view: View, begin: Begin) -> dict[str, str]:
    """Flink's options for the job's session. Checkpoints serve failovers only: a job that has ended leaves none."""
    version = tables.version(view)
    parallelism = next((job.parallelism for job in project.jobs if job.name == view.name), 1)
    given = plan.basics(flink_name(project, view.name, version), parallelism) | {
        "execution.checkpointing.externalized-checkpoint-retention": "NO_EXTERNALIZED_CHECKPOINTS",
        "pipeline.global-job-parameters": f"{SINCE}:{begin.since}",
        "table.exec.state.ttl": f"{KEPT_SECONDS} s",
    }
    folder = checkpoints(project, view.name, version)
    return given | ({"execution.checkpointing.dir": folder.as_uri()} if folder else {})


def statements(project: Project, view: View, begin: Begin, partitions: Mapping[str, int]) -> list[str]:
    """All statements of the job, the last one starts it. `partitions`: topic → their number.

    Every partition begins at an offset of ours: for one that has none Flink would ask the consumer group.
    """
    bus, serving = project.addresses.bus_java(SHADED), jdbc(project.addresses.serving("writer"))
    named = group(project, view.name, tables.version(view))
    starts = {
        name: {p: begin.offsets.get(name, {}).get(p, 0) for p in range(partitions.get(topic, 0))}
        for name, topic in topics(project, view).items()
    }
    driving = project.table(view.table.name)
    made = flink.raw(view, driving, bus, named, starts[driving.name], slack=KEPT_SECONDS)
    for name in dict.fromkeys(d.table.name for d in view.dimensions):
        made.append(raw_table(project.table(name), bus, named, False, "earliest-offset", start=starts[name]))
    made.append(flink.signed(view, flink.raw_name(view), begin.since))
    made.append(flink.sink(view, tables.speed_table(view), *serving))
    inserts = [flink.insert(view)]
    for number, joined in enumerate(view.dimensions, 1):
        made.append(dimension.sink(joined, number, tables.dimension_table(view, joined), *serving))
        inserts.append(dimension.insert(joined, number))
    return [*made, "EXECUTE STATEMENT SET BEGIN\n" + "".join(f"{insert};\n" for insert in inserts) + "END"]
