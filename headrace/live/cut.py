"""The cut of a live view: a chunk below which every record of the log is landed, by markers (CORRECTNESS 9)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from headrace.errors import HeadraceError
from headrace.ingest import headers, markers, paused
from headrace.lake import landing
from headrace.lake.arrivals import Offsets
from headrace.project import Project, Table

# How far behind the clock of a partition's next leader may be. A larger step is found by the next run, as `late` rows.
MARGIN_SECONDS = 2.0
POLL_SECONDS = 0.1
PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Marks:
    """One marker on each partition: their offsets, and the earliest and latest of their append times (Unix seconds)."""

    offsets: Offsets
    first: float
    last: float

    def cut(self, seconds: int) -> int:
        """The first chunk that may still get records behind the markers."""
        return int((self.first - MARGIN_SECONDS) // seconds)


def mark(project: Project, table: Table) -> Marks:
    """Writes a marker to every partition of the table's topic, as the broker's metadata has them now.

    Whatever is appended later is appended behind its partition's marker, and not before its time, less the margin.
    """
    written = markers.stamped(project, [table.topic], headers.QUIET + uuid4().hex)
    if not written:
        raise _no_topic(table)
    times = [at for _, at in written.values()]
    return Marks({p: offset for (_, p), (offset, _) in written.items()}, min(times), max(times))


def _no_topic(table: Table) -> HeadraceError:
    hint = f"headrace source check {table.source}"
    return HeadraceError(f"there is no topic {table.topic!r} yet", place=table.place, hint=hint)


def mark_past(project: Project, table: Table, chunk: int, seconds: int, timeout: float = 60) -> Marks:
    """Markers that make a cut past a chunk legal: written again until the broker's clock has passed its end."""
    deadline = time.monotonic() + seconds + timeout
    while True:
        marks = mark(project, table)
        if marks.cut(seconds) > chunk:
            return marks
        if time.monotonic() > deadline:
            raise HeadraceError(f"the clock of the bus does not pass chunk {chunk} of {table.name!r}")
        time.sleep(PAUSE_SECONDS)


def landed(project: Project, table: Table, marks: Marks, timeout: float = 120) -> Offsets:
    """Waits until each partition is landed past its marker; returns the landed offsets.

    An open transaction in front of a marker holds it back, as it does every reader of committed records.
    """
    deadline = time.monotonic() + timeout
    while True:
        there = landing.positions(project, table.name)
        short = {p: offset - there.get(p, 0) for p, offset in marks.offsets.items() if there.get(p, 0) <= offset}
        if not short:
            return there
        pause = paused.read(project).landing(project, table)
        if pause or time.monotonic() > deadline:
            reason = f": {pause.text}" if pause else f" within {timeout:.0f} s"
            raise HeadraceError(
                f"landing of {table.name!r} did not come past the marker{reason}",
                hint=f"headrace resume {pause.name}" if pause else "headrace status",
            )
        time.sleep(POLL_SECONDS)


def moment(chunk: int, seconds: int) -> datetime:
    """When a chunk begins."""
    return datetime.fromtimestamp(chunk * seconds, UTC)
