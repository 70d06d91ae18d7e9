"""Announces due views to Airflow: one event on a due view's own asset, which starts one run of it.

Guarantees: at most one announcement a minute per view (of a live view that only has more data, one in ten minutes; of a
view whose runs take long, one in four times its last run); none while a run of it is queued or running, and none within
that time of its last run; a view that failed is announced again only when there is more data or its file has changed;
an announcement that Airflow lost (the DAG was just being made, or paused) is repeated.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headrace.orchestrate import due
from headrace.orchestrate.client import CLOCKS, Airflow, now
from headrace.orchestrate.due import APART, LIVE_APART, Due
from headrace.orchestrate.positions import Lake
from headrace.orchestrate.watch import Parts
from headrace.project import Project

STARTING = timedelta(seconds=15)  # an event becomes a run within a scheduler loop
ASK = 10.0  # seconds between two talks with Airflow while something is due that can't be announced
LOOK = (
    30.0  # seconds after which positions are compared although nothing was landed: a run may have failed or been undone
)


@dataclass(frozen=True)
class _Announced:
    seen: str
    at: datetime


class Announcer:
    """Remembers what it announced; losing that memory costs at most one needless run per view that fails."""

    def __init__(self, project: Project, parts: Parts) -> None:
        self.parts = parts
        self._announced: dict[str, _Announced] = {}
        self._took: dict[str, timedelta] = {}  # by view, its last run as far as Airflow was asked
        self.take(project)

    def take(self, project: Project) -> None:
        """Goes on with the project as its files are now."""
        self.project = project
        self.airflow = Airflow(project)
        self.lake = Lake(project)
        self.views = self.lake.views()
        self._look_at = self._ask_at = 0.0

    def beat(self) -> None:
        """Announces what is due. Raises when lake or PostgreSQL is away; whatever is away, a later beat tries again."""
        moment, at = time.monotonic(), now()
        rested = {n: v for n, v in self.views.items() if at - self._last(n) >= APART}
        if not rested or moment < self._ask_at:
            return
        if moment < self._look_at and not self.lake.grown({t for v in rested.values() for t in v.tables}):
            return
        self._look_at = moment + LOOK
        found = self._due(rested)
        if found:
            self._ask_at = moment + ASK
            self._look_at = 0.0  # what is due and stays unannounced is looked at again, not only when more is landed
            ready = {n: one for n, one in found.items() if at - self._last(n) >= self._apart(one)}
            if ready:
                self.parts.attempt("Airflow", lambda: self._announce(ready, at))

    def _announce(self, found: dict[str, Due], at: datetime) -> None:
        since = min([at - LIVE_APART, *(self._announced[n].at for n in found if n in self._announced)])
        states = self.airflow.views(self.views, since)
        last = {name: state.last_run for name, state in states.items()}
        self._took |= {name: state.took for name, state in states.items()}
        open_ = {name: one for name, one in found.items() if not self._tried(one, last.get(name))}
        # A run that was announced a moment ago may not be there yet.
        busy = {name for name, state in states.items() if state.busy or at - self._last(name) < STARTING}
        for name, one in due.hold_back(open_, busy, self.views).items():
            state = states.get(name)
            if state is None or state.paused or state.busy:
                continue
            if state.last_run and at - state.last_run < self._apart(one):
                continue
            self.airflow.announce(state.asset_id, one.reasons)
            self._announced[name] = _Announced(one.seen, at)
            self.parts.log(f"{name} is due: {', '.join(f'{i} +{n}' if n else i for i, n in one.reasons.items())}")

    def _due(self, views: dict[str, due.View]) -> dict[str, Due]:
        covered = self.lake.covered({n for v in views.values() for n in (v.name, *v.views)})
        landed = {t: self._landed(t) for t in {t for v in views.values() for t in v.tables}}
        return {n: one for n, v in views.items() if (one := due.due(v, landed, covered))}

    def _landed(self, table: str) -> dict[int, int]:
        # A table that can't be read has nothing new; the views on other tables go on.
        return self.parts.attempt(f"landing table {table}", lambda: self.lake.landed(table)) or {}

    def _apart(self, one: Due) -> timedelta:
        return due.apart(self.views[one.view], one, self._took.get(one.view, timedelta(0)))

    def _last(self, view: str) -> datetime:
        return self._announced[view].at if view in self._announced else datetime.min.replace(tzinfo=UTC)

    def _tried(self, one: Due, last_run: datetime | None) -> bool:
        """Whether just this was announced and had its run: that failed, so it waits for more data or a new text."""
        last = self._announced.get(one.view)
        return last is not None and last.seen == one.seen and last_run is not None and last_run >= last.at - CLOCKS
