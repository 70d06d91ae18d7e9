"""Which batch views are due, decided from positions alone: no clock, no engine, no Airflow."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from headrace.project import Project
from headrace.project.job import ON_NEW_DATA

Positions = dict[str, dict[int, int]]  # table → partition → next offset
FIRST = "first run"


@dataclass(frozen=True)
class View:
    """A view that runs on new data: the tables and the views its text names, and the text's fingerprint."""

    name: str
    tables: tuple[str, ...]
    views: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class Due:
    """A view with something new. `reasons`: input → positions it lacks; `seen` tells this due from a later one."""

    view: str
    reasons: dict[str, int]
    seen: str


def views(project: Project) -> dict[str, View]:
    """The views on new data, by name."""
    found = {}
    for job in project.jobs:
        if job.kind == "batch" and job.schedule == ON_NEW_DATA:
            tables = tuple(sorted({i.table for i in job.inputs if i.table in project.tables}))
            others = tuple(sorted({i.name for i in job.inputs if i.table not in project.tables}))
            found[job.name] = View(job.name, tables, others, sha256(job.text.encode()).hexdigest()[:12])
    return found


def due(view: View, landed: Positions, covered: dict[str, Positions | None]) -> Due | None:
    """What the view has not covered yet of its tables' landed data and of its upstream views' data; None if nothing.

    `landed` counts up to the last row that is data: markers alone make nothing due. A view never published is due as
    soon as the views it reads are there.
    """
    upstream = {name: covered.get(name) for name in view.views}
    if any(positions is None for positions in upstream.values()):
        return None
    own = covered.get(view.name)
    reasons: dict[str, int] = {} if own is not None else {FIRST: 0}
    for table in view.tables:
        reasons |= _short(table, landed.get(table, {}), (own or {}).get(table, {}))
    for name, positions in upstream.items():
        behind = [_short(name, reached, (own or {}).get(table, {})) for table, reached in (positions or {}).items()]
        total = sum(short.get(name, 0) for short in behind)
        reasons |= {name: total} if total else {}
    if not reasons:
        return None
    seen = repr((view.version, sorted((t, sorted(landed.get(t, {}).items())) for t in view.tables), _plain(upstream)))
    return Due(view.name, reasons, sha256(seen.encode()).hexdigest()[:16])


def hold_back(found: dict[str, Due], busy: set[str], known: dict[str, View]) -> dict[str, Due]:
    """Those due whose upstream views are neither due nor busy: a view waits for what it reads, or would run twice."""
    waiting = set(found) | busy
    return {name: one for name, one in found.items() if waiting.isdisjoint(_above(name, known))}


def _above(name: str, known: dict[str, View]) -> set[str]:
    found: set[str] = set()
    queue = list(known[name].views) if name in known else []
    while queue:
        upper = queue.pop()
        if upper not in found:
            found.add(upper)
            queue += known[upper].views if upper in known else ()
    return found


def _short(name: str, there: dict[int, int], reached: dict[int, int]) -> dict[str, int]:
    behind = sum(max(0, position - reached.get(partition, 0)) for partition, position in there.items())
    return {name: behind} if behind else {}


def _plain(positions: dict[str, Positions | None]) -> list[object]:
    return sorted(
        (name, sorted((t, sorted(p.items())) for t, p in (one or {}).items())) for name, one in positions.items()
    )
