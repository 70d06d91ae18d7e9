"""Reconciliation: whether the speed layer counted what the batch layer counted, over chunks that both have.

A run compares before it switches:

    verdict = reconcile.compare(connection, view, "staged", since, cut, personal(project, job))
    reconcile.record(connection, view, run_id, since, cut, verdict)   # committed, whatever becomes of the switch
    if wrong := reconcile.problem(view, since, cut, verdict):
        raise wrong                                                   # the old pair stays

Only 'different' stands in the way of a switch. 'unproven' says that nothing was shown; the batch layer is exact by
itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError
from headrace.live.labels import hidden, labels
from headrace.live.words import counted, pairs, side
from headrace.serve import reconciliation
from headrace.serve.masks import MASK
from headrace.sql.lineage import OPEN, Origins
from headrace.sql.live import compared, tables
from headrace.sql.live.tree import View

if TYPE_CHECKING:
    import psycopg

EQUAL, DIFFERENT, UNPROVEN = "equal", "different", "unproven"
MOST = 1000  # keys that are kept of a comparison; all are counted
EXAMPLES = 3  # keys that an error names


@dataclass(frozen=True)
class Difference:
    """A key of which the layers say different things: its values, and each layer's measures with `row_count` and
    `images`, by their labels. A side is None where that layer has nothing of the key."""

    cause: str  # one of headrace.sql.live.compared.CAUSES
    key: Mapping[str, Any]
    batch: Mapping[str, Any] | None
    speed: Mapping[str, Any] | None


@dataclass(frozen=True)
class Verdict:
    """What a comparison found. `keys` were compared, `causes` says how many of them differ why, `differences` are at
    most MOST of those; `hidden` names the values that readers don't see."""

    state: str  # EQUAL, DIFFERENT or UNPROVEN
    keys: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    reason: str = ""
    hidden: tuple[str, ...] = ()

    @property
    def differing(self) -> int:
        return sum(self.causes.values())


def compare(
    connection: psycopg.Connection, view: View, staged: str, since: int, cut: int, origins: Origins = OPEN
) -> Verdict:
    """Compares the batch layer's partials in the table `staged` with the speed layer's of the same chunks.

    The chunks are since <= chunk < cut. `staged` has the columns k1 …, m1 …, row_count and images (how many images a
    partial is made of). The speed job must have reached every offset of those chunks; whoever knows that it has not
    says `unproven` instead. `origins` are the personal columns behind the view's own (headrace.project.personal).

    Guarantee: 'equal' means that each key has the same measures, rows and images on both sides, and that there was one
    at least. A stretch with a speed row that lost its state is 'unproven', whatever differs in it.
    """
    if since >= cut:
        return unproven("the stretch is empty: the cut did not move, so there was nothing to compare")
    found = _query(connection, view, staged, since, cut, origins)
    keys, lost, first, last = found.lost
    verdict = Verdict(DIFFERENT, keys, found.causes, found.differences, hidden=found.hidden)
    if lost:
        chunks = f"chunk {first}" if first == last else f"chunks {first} to {last}"
        reason = f"{counted(lost, 'partial')} of the speed layer in {chunks} lost state: less is in them than came"
        return replace(verdict, state=UNPROVEN, reason=reason)
    if verdict.differing:
        return verdict
    if not keys:
        return unproven("no change of the stretch counts in this view, so there was nothing to compare")
    return Verdict(EQUAL, keys)


def late(connection: psycopg.Connection, view: View, staged: str, where: str, origins: Origins = OPEN) -> Verdict:
    """The verdict on records that came at or behind the landed offsets of the last run in a chunk below its cut
    (CORRECTNESS 9): a seam violation, since neither layer counts them.

    `staged` has the partials of those records alone, as `compare` wants them; `where` says in words where they lie,
    such as 'partition 0 from offset 17, chunk 5'. 'different', with the cause 'late' for each key that lacks something;
    'unproven' when the view leaves all of them out.
    """
    found = _query(connection, view, staged, 0, 0, origins)
    if not found.differences:
        return unproven(f"records came late ({where}), but none of them counts in this view")
    given = tuple(replace(d, cause=compared.LATE) for d in found.differences)
    causes = {compared.LATE: sum(found.causes.values())}
    return Verdict(DIFFERENT, found.lost[0], causes, given, f"records came late: {where}", found.hidden)


def unproven(reason: str) -> Verdict:
    """The verdict where nothing could be compared, and why: the speed job had not reached the markers, for example."""
    return Verdict(UNPROVEN, reason=reason)


def record(
    connection: psycopg.Connection, view: View, run_id: uuid.UUID, since: int, cut: int, verdict: Verdict
) -> int:
    """Adds a verdict to ops.reconciliation and its keys to ops.reconciliation_keys; returns its id there.

    It must be committed also when the run fails: use a connection that commits by itself. A 'different' one is an
    alert in alerts.headrace_reconciliation from then on. Readers see personal values masked.
    """
    row = {
        "view": view.name,
        "version": tables.version(view),
        "run_id": run_id,
        "since": since,
        "cut": cut,
        "chunk_seconds": view.seconds,
        "state": verdict.state,
        "keys": verdict.keys,
        "differing": verdict.differing,
        "causes": verdict.causes,
        "reason": verdict.reason or None,
    }
    differences = [(d.cause, d.key, d.batch, d.speed) for d in verdict.differences]
    return reconciliation.add(connection, row, differences, verdict.hidden)


def problem(view: View, since: int, cut: int, verdict: Verdict) -> HeadraceError | None:
    """What ends a run whose layers differ: view, keys and causes, and the command that explains it; None for any other
    verdict. Personal values are masked in it."""
    if verdict.state != DIFFERENT:
        return None
    causes = ", ".join(f"{n:,} {cause}" for cause, n in verdict.causes.items())
    of = counted(verdict.keys, "key")
    lines = [
        f"the layers of the live view {view.name!r} differ in {verdict.differing:,} of {of} ({causes}),"
        f" chunks {since} to {cut - 1}; the old pair stays published"
    ]
    for one in verdict.differences[:EXAMPLES]:
        batch, speed = side(_masked(verdict, one.batch)), side(_masked(verdict, one.speed))
        lines.append(f"{one.cause}: {pairs(_masked(verdict, one.key)) or 'all rows'}: batch {batch}; speed {speed}")
    return HeadraceError("\n  ".join(lines), hint=f"headrace reconcile {view.name}")


def _masked(verdict: Verdict, values: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return values and {n: MASK if n in verdict.hidden else v for n, v in values.items()}


@dataclass(frozen=True)
class _Found:
    lost: tuple[int, int, int | None, int | None]  # keys compared, lost partials, their first and last chunk
    causes: dict[str, int]
    differences: tuple[Difference, ...]
    hidden: tuple[str, ...]


def _query(connection: psycopg.Connection, view: View, staged: str, since: int, cut: int, origins: Origins) -> _Found:
    values = {"since": since, "cut": cut, "most": MOST}
    rows = connection.execute(compared.query(view, staged), values).fetchall()  # type: ignore[arg-type] - our own text
    given = [dict(zip(compared.COLUMNS, row, strict=True)) for row in rows]
    names = labels(view)

    def read(text: str | None) -> dict[str, Any] | None:
        found = reconciliation.from_json(text)
        return found and {names.get(n, n): v for n, v in found.items()}

    differences = tuple(
        Difference(g["cause"], read(g["key"]) or {}, read(g["batch"]), read(g["speed"])) for g in given if g["cause"]
    )
    first = given[0]
    totals = (first["compared"], first["lost"], first["lost_first"], first["lost_last"])
    masked = tuple(sorted(names[n] for n in hidden(view, origins)))
    return _Found(totals, first["causes"] or {}, differences, masked)
