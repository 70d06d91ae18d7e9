"""Certificates: proof that a source's table, the fold of what landed of it, and its current table are the same.

The source is read once, in a consistent snapshot that locks nothing. A marker goes through its connector behind the
snapshot; once landing has passed the marker, everything the snapshot saw has landed, and what it did not see is told
apart by transaction (PostgreSQL) or by place in the log (MariaDB). So the comparison is exact while services write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headrace.audit import lake_side, rejects, repeats
from headrace.audit.canonical import Compared
from headrace.audit.comparison import Comparison, Key, Side, compare
from headrace.audit.keys import Range
from headrace.audit.source_side import Snapshot, snapshot
from headrace.audit.verdict import PROVEN, UNEQUAL, UNPROVEN
from headrace.errors import HeadraceError
from headrace.ingest import bus, markers, paused
from headrace.lake import landing, observed, paths
from headrace.lake.commits import stored
from headrace.project import Project, Source, Table

if TYPE_CHECKING:
    import duckdb

_SNAPSHOTTED = "the connector snapshotted the table during the audit: audit it again"


@dataclass(frozen=True)
class Certificate:
    """The result for one table. `landed` compares the source with the fold of landing, `current` that fold (as far as
    the current table covers it) with the current table; None where there is nothing to compare yet.
    """

    source: str
    table: Table
    position: str
    seconds: float
    landed: Comparison | None = None
    doubled: tuple[str, ...] = ()  # keys, as JSON, of changes that landed more than once, or that were sent so
    current: Comparison | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.source}.{self.table.name}"

    @property
    def verdict(self) -> str:
        """'proven', 'unequal' or 'unproven': never proven when there was nothing to compare with."""
        if self.landed is None:
            return UNPROVEN
        equal = self.landed.equal and not self.doubled and (self.current is None or self.current.equal)
        return PROVEN if equal else UNEQUAL

    def differences(self) -> dict[str, list[str]]:
        """Step and kind → keys, such as 'missing in landing' → ['id=7']; without those in quarantine."""
        found = {"twice in landing": list(self.doubled)} if self.doubled else {}
        for where, side in (("landing", self.landed), ("current", self.current)):
            for what in ("missing", "extra", "different"):
                keys: tuple[Key, ...] = getattr(side, what) if side else ()
                if keys:
                    found[f"{what} in {where}"] = [self.named(key) for key in keys]
        return found

    def summary(self) -> dict[str, Any]:
        """One line for people."""
        side, rest = self.landed, {"missing": 0, "extra": 0, "different": 0, "twice": len(self.doubled)}
        for what in ("missing", "extra", "different"):
            rest[what] = sum(len(getattr(s, what)) for s in (self.landed, self.current) if s)
        return {
            "source": self.source,
            "table": self.table.name,
            "verdict": self.verdict,
            "rows": side.rows if side else None,
            "quarantined": len(side.quarantined) if side else None,
            **rest,
            "current": "-" if self.current is None else "equal" if self.current.equal else "unequal",
            "seconds": round(self.seconds, 1),
            "note": self.note,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for ops.certificates."""
        side = self.landed
        return {
            "source": self.source,
            "table_name": self.table.name,
            "verdict": self.verdict,
            "position": self.position,
            "rows": side.rows if side else None,
            "checksum": side.checksum if side else None,
            "quarantined": len(side.quarantined) if side else None,
            "differences": self.differences(),
            "note": self.note,
            "seconds": self.seconds,
        }

    def named(self, key: Key) -> str:
        return ", ".join(f"{name}={text}" for name, text in zip(self.table.contract.key, key, strict=True))


def chosen(project: Project, name: str) -> list[tuple[Source, tuple[Table, ...]]]:
    """The sources and tables that SOURCE or SOURCE.TABLE names; all with a log or a listing when it is empty."""
    if not name:
        return [(source, source.tables) for source in project.sources if source.mode == "cdc" or source.listed]
    source, table = project.part(name)
    if source.mode != "cdc" and not source.listed:
        hint = "its pulls have no position in a log that both sides could be compared at"
        raise HeadraceError(f"source {source.name!r} ({source.kind}) can't be audited", place=source.place, hint=hint)
    return [(source, (table,) if table else source.tables)]


def audit(
    project: Project,
    source: Source,
    tables: tuple[Table, ...] = (),
    timeout: float = 300.0,
    keys: Range | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Certificate]:
    """Audits tables of a source with a log (all of them by default) at one position of it.

    Guarantee: 'proven' means that at the snapshot's position every compared column of every row was the same on both
    sides. A table that its connector snapshotted meanwhile is audited again. One that is paused, or whose data has not
    landed within `timeout` seconds, comes out 'unproven' with the reason. Raises HeadraceError when the source can't be
    read.
    """
    import duckdb

    began, deadline = time.monotonic(), time.monotonic() + timeout
    pauses = paused.read(project)
    held = {t: pause for t in tables or source.tables if (pause := pauses.table(t))}
    without = [Certificate(source.name, t, "", 0.0, note=pause.text) for t, pause in held.items()]
    tables = tuple(observed.widened(project, t) for t in tables or source.tables if t not in held)
    if not tables:
        return without
    names = [t.name for t in tables]
    # A connector's snapshot whose rows come behind these is of a later moment than ours.
    there = bus.partitions(project)
    before = bus.ends(project, {t.topic: there[t.topic] for t in tables if t.topic in there})
    with snapshot(project, source) as shot, ThreadPoolExecutor(1) as pool, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        progress(f"{source.name}: reading {', '.join(names)}")
        columns = {t.name: shot.columns(t) for t in tables}
        sides = {t.name: pool.submit(_source_side, pool, shot, t, columns[t.name], keys) for t in tables}
        after = markers.mark(project, max(1.0, deadline - time.monotonic()), names)
        late = landed_past(project, tables, after, deadline)
        progress(f"{source.name}: comparing")
        found = []
        for table in tables:
            certificate = Certificate(source.name, table, shot.position, 0.0)
            if table.name in late:
                certificate = replace(certificate, note=late[table.name])
            else:
                given = Given(columns[table.name], sides[table.name], before, after, keys)
                certificate = _certify(connection, project, shot.unseen, certificate, given)
            found.append(replace(certificate, seconds=time.monotonic() - began))
    again = tuple(one.table for one in found if one.note == _SNAPSHOTTED)
    if not again or time.monotonic() > deadline:
        return found + without
    progress(f"{source.name}: its connector took a snapshot meanwhile; once more")
    rest = deadline - time.monotonic()
    anew = {c.table.name: c for c in audit(project, source, again, rest, keys, progress)}
    return list(({c.table.name: c for c in found} | anew).values()) + without


@dataclass(frozen=True)
class Given:
    """What the audit of one table works with; the source is read while the lake's side is folded."""

    columns: Compared
    side: Future[Side]
    before: markers.Positions
    after: markers.Positions
    keys: Range | None


def _source_side(pool: ThreadPoolExecutor, shot: Snapshot, table: Table, columns: Compared, keys: Range | None) -> Side:
    within = keys.source(shot.source.kind, table) if keys else ""
    # The snapshot's cursor belongs to the pool's one thread.
    return Side(
        shot.buckets(table, columns, within),
        lambda buckets: pool.submit(shot.rows, table, columns, buckets, within).result(),
    )


def landed_past(
    project: Project, tables: tuple[Table, ...], targets: markers.Positions, deadline: float
) -> dict[str, str]:
    """Table → what it lacks, for tables that have not landed past the targets by the deadline."""
    while True:
        late = {}
        for table in tables:
            landed = landing.positions(project, table.name)
            behind = sum(
                max(0, at + 1 - landed.get(p, 0)) for (topic, p), at in targets.items() if topic == table.topic
            )
            if behind:
                late[table.name] = f"landing is {behind} positions behind the snapshot"
        if not late or time.monotonic() > deadline:
            return late
        time.sleep(0.2)


def _certify(
    connection: duckdb.DuckDBPyConnection, project: Project, unseen: str, certificate: Certificate, given: Given
) -> Certificate:
    table, columns = certificate.table, given.columns
    until = {p: at for (topic, p), at in given.after.items() if topic == table.topic}
    first = {p: at for (topic, p), at in given.before.items() if topic == table.topic}
    within = given.keys.lake(table) if given.keys else "true"
    if lake_side.snapshotted(connection, project, table, first, until):
        return replace(certificate, note=_SNAPSHOTTED)
    folded = lake_side.fold(connection, project, table, columns, until, unseen, within)
    landed = compare(given.side.result(), Side(folded.buckets(), folded.rows, folded.rejected))
    landed = rejects.explained(project, table, landed, folded)
    twice = lake_side.doubled(connection, project, table, until, within)
    doubled = tuple(sorted(twice | repeats.repeated(connection, project, table, until, within)))
    certificate = replace(certificate, landed=landed, doubled=doubled)
    return with_current(connection, project, certificate, columns, within)


def with_current(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    certificate: Certificate,
    columns: Compared,
    within: str = "true",
) -> Certificate:
    """The certificate with the current table compared to the fold of what it covers; notes say what was left out."""
    table = certificate.table
    note = f"not compared: {', '.join(columns.left_out)}" if columns.left_out else ""
    state = stored(paths.current(project, table.name))
    if state is None or not state.state or state.state.get("pending") or table.contract.event_id:
        return replace(certificate, note=_notes(certificate.note, note, "no current table to compare"))
    covered = {int(p): int(at) for p, at in state.state.get("positions", {}).items()}
    folded = lake_side.fold(connection, project, table, columns, covered, within=within)
    side = Side(folded.buckets(), folded.rows)
    seen = lake_side.current(connection, project, table, columns, state.version, within)
    compared = compare(side, Side(seen.buckets(), seen.rows))
    return replace(certificate, current=compared, note=_notes(certificate.note, note))


def _notes(*notes: str) -> str:
    return "; ".join(filter(None, notes))
