"""Takes a source, or one of its tables, again from its database: after its log was lost, or something was deleted there
behind its back."""

from __future__ import annotations

import time
from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace.ingest import connectors, controls, database, epochs
from headrace.ingest.epochs import Open
from headrace.ingest.paused import Pauses
from headrace.project import Project, Source, Table

LOOK = 0.5  # seconds between looks whether it is complete
MARK = 3.0  # seconds between markers: the first one behind a snapshot shows that it is complete


def resync(
    project: Project,
    source: Source,
    table: Table | None,
    timeout: float,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Snapshots a captured source or table anew; returns when the snapshot is complete on the bus.

    Guarantee: once landing has passed it, the current table has exactly the rows that the database has at the same
    position of its log; rows that were deleted unseen are gone. Killed or timed out at any moment, the snapshot goes on
    by itself (of a table, when the command is run again if it was killed within its first step), and until it is
    complete `status` says so. A table is brought beside its stream; a whole source streams nothing meanwhile, other
    sources go on. Raises HeadraceError when it is paused, refused, or not complete within `timeout` seconds.
    """
    if source.mode != "cdc":
        hint = "its rows come by pulls or are sent by services: there is no log that could be taken up anew"
        raise HeadraceError(f"source {source.name!r} ({source.kind}) has no resync", place=source.place, hint=hint)
    deadline = time.monotonic() + timeout
    records = controls.read(project)
    if pause := Pauses.of(records).source(source.name):
        raise HeadraceError(f"source {source.name!r} is {pause.text}", hint=f"headrace resume {source.name}")
    epochs.settle(project, records)
    records = controls.read(project)
    if table:
        asked = epochs.ask(project, source, table, records)
        database.signal(project, source, table, asked.id)
        say(f"asked for {table.origin}")
    else:
        epochs.begin(project, source, epochs.wanted(records, source))
        say(f"the connector of {source.name} begins anew")
        refused = next(s for s in connectors.ensure(project) if s["source"] == source.name)["refused"]
        if refused:
            raise HeadraceError(f"{refused}\nThe snapshot is asked for, and begins when this is mended")
    _until_complete(project, source, table, deadline, timeout)


def _until_complete(project: Project, source: Source, table: Table | None, deadline: float, timeout: float) -> None:
    marked = 0.0
    decisions = controls.Watched(project)
    while True:
        if time.monotonic() - marked > MARK:
            marked = time.monotonic()
            database.mark(project, source, "")
        left = [o for o in epochs.settle(project, decisions.now()) if _same(o, source, table)]
        if not left:
            return
        if left[0].failed:
            hint = f"headrace resync {source.name}   snapshots the whole source"
            raise HeadraceError(f"{table.origin if table else source.name}: {left[0].text}", hint=hint)
        if time.monotonic() > deadline:
            state = next(s for s in connectors.states(project) if s["source"] == source.name)
            said = f"the connector is {state['state']}" + (f": {state['error']}" if state["error"] else "")
            hint = "it goes on by itself; headrace status   says when it is complete"
            if state["error"] and table:
                hint = f"headrace resync {source.name}   takes the whole source anew, if its log is lost"
            raise HeadraceError(f"the snapshot is not complete within {timeout:.0f} s; {said}", hint=hint)
        time.sleep(LOOK)


def _same(one: Open, source: Source, table: Table | None) -> bool:
    """Whether this one brings what is waited for. A new epoch of the source brings its tables, too."""
    return one.source == source.name and one.table in ("", table.name if table else "")
