"""Epochs: attempts to snapshot a source or one of its tables, and when one is complete (CORRECTNESS 1).

A snapshot brings the rows that are there; of those that are gone it says nothing. So when it is complete, a marker with
its epoch and position is written onto the tables' topics: what lies below it, and was not brought again, is gone. This
also holds for a table that is empty now. Until then the old rows stay, and `status` says that it is not complete.

* A whole source: its connector begins anew under a new epoch. It streams only when its snapshot is complete. So the
  snapshot was complete when a row of the marker table comes as a change; its position is that of the last row of the
  marker table which the snapshot brought before (a snapshot that was killed and begun again brings it twice).
  In PostgreSQL only the snapshot that comes with a new slot fits its stream exactly: one that was begun again reads
  where the log ends after it began to look, and what is committed in between is in neither. It has a next epoch.
* One table: a row in the signal table asks its connector to bring the table in chunks between its changes, in order
  with them. The position of that row in the log is the snapshot's: whatever is in the table at the end was brought, or
  changed, behind it. The connector tells on a topic when it is through.

Every step may be killed and done again: requests and completions are records of their own on headrace.controls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from headrace.errors import HeadraceError
from headrace.ingest import bus, controls, debezium, headers, markers, topics
from headrace.ingest.controls import Records
from headrace.ingest.positions import positioner
from headrace.project import Project, Source, Table

ASKED, COMPLETE = "epoch", "complete"  # of a source: the epoch that it should have, the last one that is complete
SIGNAL, SIGNALLED = "resync", "resynced"  # of a table: the request, and the last one that was answered
_GOOD = ("SUCCEEDED", "EMPTY")


@dataclass(frozen=True)
class Open:
    """A snapshot that is not complete: of a source (`table` is ''), or of one of its tables, known by `id`."""

    source: str
    table: str
    since: int
    epoch: int
    id: str = ""
    failed: str = ""

    @property
    def text(self) -> str:
        since = f"the snapshot of {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M}"
        return f"{since} failed: {self.failed}" if self.failed else f"{since} is not complete: rows may be old"


def wanted(records: Records, source: Source) -> int:
    """The epoch that a source was last asked to have; 0 for one that was never begun."""
    return int(records.get((ASKED, source.name), {}).get("epoch", 0))


def begun(records: Records, source: Source) -> int:
    """As `wanted`, but 0 when that epoch is complete: then it can't begin again."""
    asked = wanted(records, source)
    return 0 if asked == records.get((COMPLETE, source.name), {}).get("epoch") else asked


def begin(project: Project, source: Source, above: int = 0) -> int:
    """Asks for a new epoch of a source, greater than `above`; returns it. Its connector obeys at the next `ensure`."""
    return _ask_for(project, source, max(controls.now(), above + 1)).epoch


def _ask_for(project: Project, source: Source, epoch: int) -> Open:
    one = Open(source.name, "", controls.now(), epoch)
    controls.write(project, {(ASKED, source.name): {"epoch": one.epoch, "since": one.since}})
    return one


def unsettled(project: Project, records: Records) -> list[Open]:
    """Snapshots that were asked for and are not known to be complete, of sources before their tables."""
    found = []
    for source in project.sources:
        asked, done = records.get((ASKED, source.name)), records.get((COMPLETE, source.name), {})
        if asked and asked["epoch"] != done.get("epoch"):
            found.append(Open(source.name, "", asked["since"], asked["epoch"]))
        for table in source.tables:
            one = records.get((SIGNAL, source.name, table.name))
            last = records.get((SIGNALLED, source.name, table.name), {})
            if one is None or one["epoch"] != wanted(records, source):
                continue  # a newer epoch of the whole source brings the table as well
            answered = one["id"] == last.get("id")
            if not answered or last.get("failed"):
                failed = last["failed"] if answered else ""
                found.append(Open(source.name, table.name, one["since"], one["epoch"], one["id"], failed))
    return found


def settle(project: Project, records: Records) -> list[Open]:
    """Completes what has come through by now: writes the markers that say so. Returns what is still open.

    Done twice, or by two processes at once, it changes nothing more. Raises HeadraceError when the bus does not answer.
    """
    still = []
    for one in unsettled(project, records):
        source = project.source(one.source)
        if one.failed:
            still.append(one)
        elif not one.table:
            position, fits = _of_source(project, source, one.epoch)
            if position is None:
                still.append(one)
                continue
            if not fits:  # the next number, not the time: two processes at once ask for the same
                still.append(_ask_for(project, source, one.epoch + 1))
                continue
            markers.complete(project, [t.topic for t in source.tables], one.epoch, position)
            controls.write(project, {(COMPLETE, source.name): {"epoch": one.epoch, "position": position}})
        else:
            still += _settle_table(project, source, project.table(one.table), one)
    return still


def note(project: Project, records: Records, table: Table) -> str:
    """What a reader of a table should know about its snapshots; '' when the last one is complete."""
    found = [one for one in unsettled(project, records) if one.source == table.source and one.table in ("", table.name)]
    return found[0].text if found else ""


def _settle_table(project: Project, source: Source, table: Table, one: Open) -> list[Open]:
    outcome = _outcome(project, source, one.id)
    if not outcome:
        return [one]
    answered: dict[str, Any] = {"id": one.id}
    if outcome in _GOOD:
        at = _of_signal(project, source, one.id)
        if at is None:
            return [one]
        markers.complete(project, [table.topic], *at)
    else:
        answered["failed"] = outcome
    controls.write(project, {(SIGNALLED, source.name, table.name): answered})
    return [] if outcome in _GOOD else [Open(one.source, one.table, one.since, one.epoch, one.id, outcome)]


def _of_source(project: Project, source: Source, epoch: int) -> tuple[str | None, bool]:
    """The position of the complete snapshot of an epoch, None when there is none, and whether its stream fits it."""
    position, found, complete, fits = positioner(source.kind), None, None, True
    for message in bus.read_to_end(project, topics.marker_topic(source)):
        if headers.parse(message.headers()).epoch == epoch and message.value():
            change = orjson.loads(message.value())
            if change.get("op") != "r":
                complete = found
                continue
            found, complete = position(change), None
            row = change.get("after") or {}
            if row.get("name") == debezium.SLOT:
                fits = _lsn(row["marker"]) == change["source"]["lsn"]
    return complete, fits


def _lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def _of_signal(project: Project, source: Source, id: str) -> tuple[int, str] | None:
    """Epoch and position of the row that asked for a snapshot of a table."""
    for message in bus.read_to_end(project, topics.signal_topic(project, source)):
        change = orjson.loads(message.value() or b"{}")
        if change.get("op") == "c" and change["after"]["id"] == id:
            return headers.parse(message.headers()).epoch, positioner(source.kind)(change)
    return None


def _outcome(project: Project, source: Source, id: str) -> str:
    """How the connector says that a snapshot of a table ended: SUCCEEDED, EMPTY, …; '' while it runs."""
    for message in bus.read_to_end(project, topics.notification_topic(source)):
        said = orjson.loads(message.value() or b"{}")
        if said.get("id") == id:
            more = said.get("additional_data") or {}
            if said.get("type") == "TABLE_SCAN_COMPLETED":
                return str(more.get("status", "UNKNOWN"))
            if said.get("type") == "ABORTED":
                return "ABORTED"
    return ""


def ask(project: Project, source: Source, table: Table, records: Records) -> Open:
    """Records the request for a snapshot of one table; one that is still open is returned instead of a second.

    Two snapshots of one source at a time would be told apart by nothing: raises HeadraceError while another is open.
    """
    for other in unsettled(project, records):
        if other.source == source.name and not other.failed:
            if other.table == table.name:
                return other
            what = f"table {other.table}" if other.table else f"source {other.source}"
            raise HeadraceError(f"a snapshot of {what} is not complete yet", hint="headrace status   says when it is")
    made = Open(source.name, table.name, controls.now(), wanted(records, source), uuid4().hex)
    record = {"id": made.id, "since": made.since, "epoch": made.epoch}
    controls.write(project, {(SIGNAL, source.name, table.name): record})
    return made
