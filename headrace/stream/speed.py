"""The speed layer of live views: one Flink job per view and version, which fills the view's speed table.

A job that does not run is started at the view's cut with empty state, never from a savepoint: so there is no state
from before an outage that could have expired in the middle of a chunk (CORRECTNESS 11). What it writes until it has
caught up is less than what the speed table knows, and the table's trigger drops it (CORRECTNESS 10): a reader never
sees a number go back. Flink's own failovers, when a task, a TaskManager or the JobManager dies, go on from a
checkpoint as ever.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from headrace.errors import HeadraceError
from headrace.ingest import bus, headers, markers, topics
from headrace.project import Project
from headrace.serve.database import connect, locked
from headrace.sql.live import tables
from headrace.sql.live.tree import View
from headrace.stream import mistakes, offsets, outage, speed_plan
from headrace.stream.flink_rest import Flink
from headrace.stream.gateway import Gateway, StatementFailed
from headrace.stream.speed_plan import Begin

if TYPE_CHECKING:
    import psycopg

__all__ = ["Begin", "ensure", "named", "note", "reached", "running", "stop", "wait_until"]
SETTLE_SECONDS = 60.0
_POLL = 0.1
# Flink tells the bus which offsets a checkpoint covers when its reader next wakes up: with the next record, or after
# its poll of ten seconds. On a quiet topic a further marker wakes it, once a checkpoint (every 3 s) has had its time.
NUDGE_SECONDS = 3.5


def ensure(project: Project, view: View, begin: Begin) -> str:
    """Makes the speed job of this version of the view run; idempotent, and safe to call from several places at once.

    'none': it runs. 'started': it did not, or could no longer be right (see `_unfit`), and begins at `begin` with empty
    state. Guarantee: from then on the speed table has, for each key, chunk >= begin.since and partition, the sum of all
    signed rows up to some offset, which never goes back; no row of an aborted or open transaction is among them.
    Raises HeadraceError with Flink's root cause when the job does not start; then none of it is left running.
    """
    version = tables.version(view)
    with locked(project, _lock(view.name, version)) as connection:
        flink = Flink(project.addresses.flink_rest)
        kept = _only_run(flink, speed_plan.flink_name(project, view.name, version))
        if kept and not _unfit(flink, kept, connection, view, begin):
            return "none"
        if kept:
            flink.cancel(kept["jid"])
        _forget(project, view.name, version)
        _start(project, flink, connection, view, begin)
    return "started"


def stop(project: Project, name: str, version: str) -> None:
    """Cancels the speed job of a version of a view, if it runs, and removes its checkpoints. The tables stay."""
    with locked(project, _lock(name, version)) as connection:
        flink = Flink(project.addresses.flink_rest)
        for job in flink.jobs(speed_plan.flink_name(project, name, version)):
            flink.cancel(job["jid"])
        _forget(project, name, version)
        outage.forget(connection, name, version)


def note(project: Project, running: Mapping[tuple[str, str], str]) -> None:
    """Notes where the jobs `running` (see `named`) are, so that a later look knows how long one was down."""
    flink = Flink(project.addresses.flink_rest)
    with connect(project) as connection:
        for job_id in running.values():
            outage.longest(connection, flink, job_id)


def running(project: Project) -> dict[tuple[str, str], str]:
    """(view, version) → Flink's job id, for each speed job of this project that has not ended."""
    return named(project, Flink(project.addresses.flink_rest).jobs())


def named(project: Project, jobs: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """The speed jobs of this project among Flink's jobs, newest first, that have not ended."""
    prefix = speed_plan.prefix(project)
    ours = [job for job in jobs if job["name"].startswith(prefix)]
    return {speed_plan.view_and_version(project, job["name"]): job["jid"] for job in ours}


def reached(project: Project, view: View) -> dict[str, dict[int, int]]:
    """Table → partition → next offset that the job's last completed checkpoint does not cover; {} before the first.

    Guarantee: what every earlier record of a chunk that counts adds is in the speed table, and each earlier record of
    a joined table in its table.
    """
    at = offsets.of_group(project, speed_plan.group(project, view.name, tables.version(view)), view.name)
    found = {
        table: {p: offset for (of, p), offset in at.items() if of == topic}
        for table, topic in speed_plan.topics(project, view).items()
    }
    return {table: partitions for table, partitions in found.items() if partitions}


def wait_until(project: Project, view: View, positions: dict[str, dict[int, int]], timeout: float) -> bool:
    """Whether the job's checkpoints reach all these offsets (`reached` >= them) within `timeout` seconds.

    Returns early when the job has ended. Writes markers to topics on which it lags, where nothing else might come.
    """
    flink = Flink(project.addresses.flink_rest)
    at_flink = speed_plan.flink_name(project, view.name, tables.version(view))
    topic_of = speed_plan.topics(project, view)
    deadline, nudged = time.monotonic() + timeout, time.monotonic()
    while True:
        at = reached(project, view)
        late = {t for t, wanted in positions.items() if any(at.get(t, {}).get(p, 0) < o for p, o in wanted.items())}
        if not late:
            return True
        if time.monotonic() > deadline:
            return False
        if time.monotonic() - nudged >= NUDGE_SECONDS:
            if not flink.jobs(at_flink):
                return False
            markers.write(project, sorted(topic_of[t] for t in late), headers.QUIET + uuid4().hex)
            nudged = time.monotonic()
        time.sleep(_POLL)


def _unfit(flink: Flink, job: dict[str, Any], connection: psycopg.Connection, view: View, begin: Begin) -> str:
    """Why the running job's sums can't all be right any more; '' when they can.

    * The trigger has found that state of a chunk was lost. The row that it kept is older than it should be, not wrong.
    * The job was down for so long that state may have expired, and the ids of events with it.
    * It counts from a later chunk on than wanted.
    """
    since = flink.parameter(job["jid"], speed_plan.SINCE)
    if since and int(since) > begin.since:
        return f"it counts from chunk {since} on"
    lost = f"SELECT EXISTS (SELECT 1 FROM {_table(connection, view)} WHERE lost AND chunk >= %s)"
    if _one(connection, lost, begin.since):
        return "state of it was lost"
    seconds = outage.longest(connection, flink, job["jid"])
    return f"it was down for {seconds:.0f} s" if seconds > speed_plan.LONGEST_OUTAGE else ""


def _only_run(flink: Flink, at_flink: str) -> dict[str, Any] | None:
    """The job's one run, the oldest: it has read most. A second one, left by a race or by hand, is cancelled."""
    runs = flink.jobs(at_flink)
    for other in runs[:-1]:
        flink.cancel(other["jid"])
    return runs[-1] if runs else None


def _start(project: Project, flink: Flink, connection: psycopg.Connection, view: View, begin: Begin) -> None:
    # Rows marked as lost stay: each is a true sum up to its offset, and the replay begins at its chunk's first row, so
    # that it replaces the row as soon as it reaches further. Without the row readers would see a smaller number until
    # then. Only the mark goes (the trigger takes it from a row that is written again): set anew, it means the new job.
    connection.execute(f"UPDATE {_table(connection, view)} SET upto = upto WHERE lost")  # type: ignore[arg-type]
    needed = set(speed_plan.topics(project, view).values())
    if not needed <= set(there := bus.partitions(project)):
        topics.ensure(project)
        there = bus.partitions(project)
    try:
        with Gateway(project.addresses.flink_gateway, speed_plan.options(project, view, begin)) as gateway:
            for statement in speed_plan.statements(project, view, begin, there):
                job_id = gateway.run(statement).job_id
    except StatementFailed as error:
        reason, hint = mistakes.root_cause(error.trace), mistakes.masked(error.statement)
        raise HeadraceError(f"Flink refused a statement of the speed job of {view.name}: {reason}", hint=hint) from None
    outage.begun(connection, view.name, tables.version(view), job_id)
    cause = flink.settled(job_id, SETTLE_SECONDS)
    if cause:
        flink.cancel(job_id)
        _forget(project, view.name, tables.version(view))
        raise HeadraceError(f"the speed job of {view.name} does not start: {cause}", hint="headrace status")


def _forget(project: Project, name: str, version: str) -> None:
    """Removes what a run has left that the next one must not find: offsets that it has not read to, checkpoints."""
    offsets.forget_group(project, speed_plan.group(project, name, version), name)
    folder = speed_plan.checkpoints(project, name, version)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _table(connection: psycopg.Connection, view: View) -> str:
    table = tables.speed_table(view)
    if _one(connection, "SELECT to_regclass(%s)", table) is None:
        raise HeadraceError(f"the speed table of {view.name} is not there", hint=f"headrace run {view.name} --full")
    return table


def _one(connection: psycopg.Connection, query: str, value: object) -> Any:
    found = connection.execute(query, (value,)).fetchone()  # type: ignore[arg-type] - constant texts and our own names
    return found[0] if found else None


def _lock(name: str, version: str) -> str:
    return f"speed {name} {version}"
