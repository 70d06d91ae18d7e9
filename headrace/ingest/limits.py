"""Does what a source's `limits` say when its database keeps too much of its log for us."""

from __future__ import annotations

from headrace.ingest import connectors, controls, database, epochs, lag, paused
from headrace.ingest.lag import LogLag
from headrace.project import Project, Source
from headrace.project.limits import RESNAPSHOT, shown

WHO = "limits"  # paused it: the check of the source fails until somebody resumes it


def warning(source: Source, found: LogLag) -> str:
    """What is wrong with the size of a source's log; '' when nothing is."""
    if found.held is None or found.held < source.limits.warn:
        return ""
    limit = source.limits.limit
    then = f"; from {shown(limit)} on: {source.limits.then}" if limit is not None else "; no limit is set"
    return f"its database keeps {shown(found.held)} of its log for us{then}"


def act(project: Project, source: Source) -> str:
    """Does what `limits` says, when the log is above the limit; returns what was done, '' when nothing was to do.

    `resnapshot`: the slot is dropped, and the source snapshotted anew. `pause`: the source is paused and the slot
    dropped, so that the disk is free; `resume` begins with a new snapshot. The snapshot brings every row as it is then,
    not the states in between. A source that is paused already stays so. While a snapshot is under way nothing is done:
    it needs its slot. Killed at any moment, the next call ends it.
    """
    limits, found = source.limits, lag.measure(project, source)
    if limits.limit is None or found.held is None or found.held < limits.limit:
        return ""
    decided = controls.read(project)
    pause = paused.Pauses.of(decided).source(source.name)
    under_way = any(one.source == source.name and not one.table for one in epochs.settle(project, decided))
    if under_way and not pause:
        return ""
    why = f"its log was {shown(found.held)}, the limit is {shown(limits.limit)}"
    # Asked for first: whatever is killed from here on, nobody can go on from a log that is gone.
    if not under_way:
        epochs.begin(project, source, epochs.wanted(decided, source))
    if limits.then == RESNAPSHOT and not pause:
        refused = next(s for s in connectors.ensure(project) if s["source"] == source.name)["refused"]
        return f"{source.name} is snapshotted anew: {why}" + (f" (held up: {refused})" if refused else "")
    paused.pause(project, source, None, why, WHO)
    connectors.hold(project, source)
    database.drop_slot(project, source)
    return f"{source.name} is paused and lets its log go: {why}"
