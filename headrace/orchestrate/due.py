"""Which batch views are due, decided from positions alone: no clock, no engine, no Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from headrace.project import Job, Project
from headrace.project.job import ON_NEW_DATA

Positions = dict[str, dict[int, int]]  # table → partition → next offset
FIRST = "first run"
CHANGED = "its file was changed"
APART = timedelta(minutes=1)  # DESIGN §8: at most one run a minute per view
# The speed layer keeps a live view fresh to the second. Runs only make less of it provisional and keep short what a
# speed job that begins again at the cut has to read: ten minutes of the log, while Flink keeps an hour of state.
LIVE_APART = timedelta(minutes=10)
PART = 4  # a view runs for a quarter of the time at most
LONGEST = timedelta(hours=1)


@dataclass(frozen=True)
class View:
    """A view that runs on new data: the tables and the views its text names, the text's version, and whether it has a
    speed layer."""

    name: str
    tables: tuple[str, ...]
    views: tuple[str, ...]
    version: str
    live: bool = False


@dataclass(frozen=True)
class Published:
    """What readers see of a view: the positions it covers and the version of the text it was made with."""

    positions: Positions
    version: str


@dataclass(frozen=True)
class Due:
    """A view with something new. `reasons`: input → positions it lacks; `seen` tells this due from a later one."""

    view: str
    reasons: dict[str, int]
    seen: str


def views(project: Project, version: Callable[[Project, Job], str]) -> dict[str, View]:
    """The views on new data, by name; `version` is headrace.batch's fingerprint of a job."""
    found = {}
    for job in project.jobs:
        if job.kind == "batch" and job.schedule == ON_NEW_DATA:
            tables = tuple(sorted({i.table for i in job.inputs if i.table in project.tables}))
            others = tuple(sorted({i.name for i in job.inputs if i.table not in project.tables}))
            found[job.name] = View(job.name, tables, others, version(project, job), job.live)
    return found


def due(view: View, landed: Positions, covered: Mapping[str, Published | None]) -> Due | None:
    """What the view has not covered yet of its tables' landed data and of its upstream views' data; None if nothing.

    `landed` counts up to the last row that is data: markers alone make nothing due. A view never published is due as
    soon as the views it reads are there, and a view whose file was changed is due.
    """
    upstream = {name: one.positions for name in view.views if (one := covered.get(name))}
    if len(upstream) < len(view.views):
        return None
    own = covered.get(view.name)
    mine = own.positions if own else {}
    reasons = {FIRST: 0} if own is None else {CHANGED: 0} if own.version != view.version else {}
    reasons |= {t: _short(landed.get(t, {}), mine.get(t, {})) for t in view.tables}
    reasons |= {n: sum(_short(there, mine.get(t, {})) for t, there in p.items()) for n, p in upstream.items()}
    reasons = {name: short for name, short in reasons.items() if short or name in {FIRST, CHANGED}}
    if not reasons:
        return None
    state = (view.version, {t: landed.get(t, {}) for t in view.tables}, upstream)
    return Due(view.name, reasons, sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16])


def apart(view: View, one: Due, took: timedelta = timedelta(0)) -> timedelta:
    """The least time between the starts of two runs of a view, the last of which `took` so long.

    More data can wait where a speed layer shows it, and while runs are slow: views that run for more than a part of the
    time leave nothing for what they wait for themselves. A new text waits for neither.
    """
    if not one.reasons.keys().isdisjoint({FIRST, CHANGED}):
        return APART
    return max(LIVE_APART if view.live else APART, min(PART * took, LONGEST))


def hold_back(found: dict[str, Due], busy: set[str], known: dict[str, View]) -> dict[str, Due]:
    """Those due that need not wait for a view they read: one that is due or busy would make them run twice.

    Who has not seen yet what a view it reads has published does not wait: while data flows, that view is always due.
    """
    waiting = set(found) | busy
    free = {n: one for n, one in found.items() if waiting.isdisjoint(_above(n, known))}
    return free | {n: one for n, one in found.items() if one.reasons.keys() & set(known[n].views)}


def _above(name: str, known: dict[str, View]) -> set[str]:
    found: set[str] = set()
    queue = list(known[name].views) if name in known else []
    while queue:
        upper = queue.pop()
        if upper not in found:
            found.add(upper)
            queue += known[upper].views if upper in known else ()
    return found


def _short(there: dict[int, int], reached: dict[int, int]) -> int:
    return sum(max(0, position - reached.get(partition, 0)) for partition, position in there.items())
