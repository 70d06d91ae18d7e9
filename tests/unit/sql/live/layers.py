"""Bus, landing, batch layer, speed layer and serving database in memory, by the rules of CORRECTNESS 9 to 17.

A rule can be left out by its name in `without`; a test shows that a history then gives a wrong number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from headrace.sql.live.tree import View
from tests.unit.sql.live import reference
from tests.unit.sql.live.reference import Partial, Row

CHUNK = 10  # ticks of the clock
MARGIN = 1  # chunks: the clock of a new leader may be so far behind
Keyed = dict[tuple[Any, ...], Partial]

RULES = {
    "chunk": "both layers take a record's side from its append time alone, not from the moment of the run",
    "markers": "a cut is legal when a marker of each partition is landed past it (9)",
    "margin": "the marker is later than the cut by as much as clocks may differ (9)",
    "partitions": "partitions come from the broker, not from what is landed (9)",
    "upto": "a partial that reaches less far replaces none that reaches further (10)",
    "min_offset": "a partial that begins later than the known one means lost state (10, 11)",
    "clear": "partials are cleared below the published cut, never by the clock (11)",
    "restart": "without state the speed layer begins at the smallest offset of the cut's chunk, not at its end (12)",
    "switch": "batch rows and cut change in one transaction (14)",
    "base": "an older run does not move the cut back (14)",
    "net": "an update within one group is one row (16)",
    "hidden": "SUM over NULLs alone is NULL, a group at zero is not there (17)",
    "owed": "a key goes from the batch table only when nothing is left of it, not when its rows are zero (clock steps)",
    "validity": "both layers judge each image by itself (7)",
    "snapshot": "rows of a snapshot carry no sign until a full run (1)",
}


@dataclass
class Record:
    """One record of a partition: both images (None: not there, or broken), its append time, and its kind."""

    op: str  # c, u, d, r, m
    at: int
    before: Row | None = None
    after: Row | None = None
    transaction: int = 0  # open while it is in Bus.open
    position: int = 0  # in the source's log
    epoch: int = 0

    @property
    def chunk(self) -> int:
        return self.at // CHUNK

    def signed(self) -> Iterator[tuple[Row, int]]:
        if self.op in {"c", "u"} and self.after is not None:
            yield self.after, 1
        if self.op in {"u", "d"} and self.before is not None:
            yield self.before, -1


@dataclass
class Bus:
    """The partitions of a topic. A reader sees a partition up to its first record of an open transaction."""

    partitions: list[list[Record | None]] = field(default_factory=lambda: [[], []])
    open: set[int] = field(default_factory=set)

    def stable(self, partition: int) -> int:
        """The offset up to which committed readers see."""
        log = self.partitions[partition]
        return next((o for o, r in enumerate(log) if r is not None and r.transaction in self.open), len(log))

    def abort(self, transaction: int) -> list[tuple[int, Record]]:
        """Takes its records away, leaving holes at their offsets; returns them in order, each with its partition."""
        found = []
        for partition, log in enumerate(self.partitions):
            for offset, record in enumerate(log):
                if record is not None and record.transaction == transaction:
                    found.append((partition, record))
                    log[offset] = None
        self.open.discard(transaction)
        return sorted(found, key=lambda one: one[1].position)

    def visible(self, partition: int, since: int = 0) -> Iterator[tuple[int, Record]]:
        for offset in range(since, self.stable(partition)):
            record = self.partitions[partition][offset]
            if record is not None:
                yield offset, record


@dataclass
class Serving:
    """What PostgreSQL holds: absolute partials of the batch layer, the cut, and the rows of the speed layer."""

    without: frozenset[str]
    batch: Keyed = field(default_factory=dict)
    cut: int | None = None
    run: int = 0
    speed: dict[tuple[tuple[Any, ...], int, int], tuple[Partial, int, int]] = field(default_factory=dict)
    lost: bool = False

    def upsert(self, place: tuple[tuple[Any, ...], int, int], partial: Partial, upto: int, first: int) -> None:
        known = self.speed.get(place)
        if known and first > known[2] and "min_offset" not in self.without:
            self.lost = True
            return
        if known and upto < known[1] and "upto" not in self.without:
            return
        self.speed[place] = (deepcopy(partial), upto, first)

    def layers(self) -> list[Keyed]:
        if self.cut is None:
            return []
        recent: list[Keyed] = [{k: p} for (k, chunk, _), (p, _, _) in self.speed.items() if chunk >= self.cut]
        return [self.batch, *recent]


class Speed:
    """The stream job: partials per (key, chunk, partition) with `upto` and the first offset; checkpoints; restarts."""

    def __init__(self, view: View, bus: Bus, serving: Serving) -> None:
        self.view, self.bus, self.serving = view, bus, serving
        self.state: dict[Any, tuple[Partial, int, int]] = {}
        self.next: dict[int, int] = {}
        self.since = 0
        self.checkpoint()

    def checkpoint(self) -> None:
        self.saved = deepcopy((self.state, self.next, self.since))

    def restore(self) -> None:
        self.state, self.next, self.since = deepcopy(self.saved)

    def forget(self) -> None:
        """State is gone, positions are not: what expired state looks like."""
        self.state = {}

    def from_cut(self, cut: int, first: dict[int, int]) -> None:
        """Begins anew at the cut, with the smallest offset of its chunks per partition."""
        self.state, self.next, self.since = {}, dict(first), cut
        if "restart" in self.serving.without:
            self.next = {p: self.bus.stable(p) for p in range(len(self.bus.partitions))}
        self.checkpoint()

    def pending(self) -> int:
        """Records that it can read and has not."""
        logs = range(len(self.bus.partitions))
        return sum(1 for p in logs for _ in self.bus.visible(p, self.next.get(p, 0)))

    def steps(self) -> Iterator[None]:
        """Reads all that is visible; yields after each statement that readers could see."""
        for partition in range(len(self.bus.partitions)):
            for offset, record in self.bus.visible(partition, self.next.get(partition, 0)):
                self.next[partition] = offset + 1
                for _ in self._take(partition, offset, record):
                    yield
            self.next[partition] = max(self.next.get(partition, 0), self.bus.stable(partition))

    def _take(self, partition: int, offset: int, record: Record) -> Iterator[None]:
        if record.chunk < self.since:
            return
        without = self.serving.without
        signed = list(record.signed())
        if record.op == "r" and "snapshot" in without and record.after is not None:
            signed.append((record.after, 1))
        if record.op == "u" and "validity" in without and (record.before is None or record.after is None):
            signed = []  # the whole change is judged, instead of each image
        found = reference.partials(self.view, signed)
        if "net" in without:
            singles = [reference.partials(self.view, [one]) for one in reversed(signed)]
            changes = [(k, p) for single in singles for k, p in single.items()]
        else:
            changes = list(found.items())
        for key, partial in changes:
            place = (key, record.chunk, partition)
            known, _, first = self.state.get(place, (reference.nothing(self.view), offset, offset))
            known.add(self.view.measures, partial)
            self.state[place] = (known, offset, first)
            self.serving.upsert(place, known, offset, first)
            yield


class Batch:
    """Landing, and the runs of the batch layer: incremental between two cuts, or full from landing."""

    def __init__(self, view: View, bus: Bus, serving: Serving) -> None:
        self.view, self.bus, self.serving = view, bus, serving
        self.landed: dict[int, int] = {}
        self.stored: Keyed = {}
        self.cut = 0
        self.seen: dict[int, int] = {}  # landed offsets of the last run

    def land(self, partition: int) -> None:
        self.landed[partition] = self.bus.stable(partition)

    def rows(self) -> Iterator[tuple[int, int, Record]]:
        for partition, end in self.landed.items():
            for offset in range(end):
                record = self.bus.partitions[partition][offset]
                if record is not None:
                    yield partition, offset, record

    def legal(self) -> int:
        """The greatest cut that all partitions are landed past."""
        without, newest = self.serving.without, []
        margin = 0 if "margin" in without else MARGIN
        for partition in range(len(self.bus.partitions)):
            if partition not in self.landed and "partitions" in without:
                continue
            marks = [r.chunk for p, _, r in self.rows() if p == partition and r.op == "m"]
            if "markers" in without:
                marks = [r.chunk for p, _, r in self.rows()]  # any partition's progress counts for all
            newest.append(max(marks, default=0) - margin)
        return max(min(newest, default=0), 0)

    def violations(self) -> list[Record]:
        """Records at or behind the last run's offsets that belong below its cut: the seam was crossed."""
        return [r for p, o, r in self.rows() if o >= self.seen.get(p, 0) and r.chunk < self.cut and r.op != "m"]

    def run(self, cut: int, full: bool, epoch: int) -> None:
        """Brings the stored partials to a cut: from landing as a whole, or from what is new since the last cut."""
        if full:
            self.stored = {}
        since = 0 if full else self.cut
        signed = [
            one
            for _, _, r in self.rows()
            if since <= r.chunk and (r.chunk < cut or "chunk" in self.serving.without) and r.epoch >= epoch
            for one in (r.signed() if r.op != "r" or not full else [(r.after, 1)] if r.after is not None else [])
        ]
        partials = reference.partials(self.view, signed)  # type: ignore[arg-type]
        if "owed" in self.serving.without:
            for key, partial in partials.items():
                self.stored.setdefault(key, reference.nothing(self.view)).add(self.view.measures, partial)
                if not self.stored[key].rows:
                    del self.stored[key]
        else:
            reference.add(self.view, self.stored, partials)
        self.cut, self.seen = cut, dict(self.landed)

    def first(self) -> dict[int, int]:
        """Per partition the smallest landed offset of a chunk at or past the cut; what is not landed is behind it."""
        found: dict[int, int] = {}
        for partition, offset, record in self.rows():
            if record.chunk >= self.cut:
                found[partition] = min(offset, found.get(partition, offset))
        return {p: found.get(p, end) for p, end in self.landed.items()}

    def result(self) -> tuple[Keyed, int, int]:
        """What the run wants to publish: rows, cut, and the run that it was based on."""
        return deepcopy(self.stored), self.cut, self.serving.run

    def switch(self, result: tuple[Keyed, int, int]) -> Iterator[None]:
        """Puts rows and cut before the readers, unless another run did since; yields whenever readers could look."""
        rows, cut, base = result
        if base != self.serving.run and "base" not in self.serving.without:
            return
        self.serving.run += 1
        self.serving.cut = cut
        if "switch" in self.serving.without:
            yield
        self.serving.batch = rows
        yield

    def clear(self, grace: int, clock: int) -> None:
        end = clock // CHUNK if "clear" in self.serving.without else (self.serving.cut or 0) - grace
        for place in [p for p in self.serving.speed if p[1] < end]:
            del self.serving.speed[place]


def present(records: Iterable[Record]) -> list[Row]:
    """The rows that are there after all records: each key's last image, in order of the source's log."""
    rows: dict[Any, Row | None] = {}
    for record in sorted(records, key=lambda r: (r.epoch, r.position)):
        image = record.after if record.after is not None else record.before
        if record.op in {"c", "u", "d", "r"} and image is not None:
            rows[image["id"]] = record.after
    return [row for row in rows.values() if row is not None]
