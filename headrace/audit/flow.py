"""How far the data has come, by position: source → bus → landing → alert views and batch views.

A position is reached or it is not; no clock is asked. `targets` come from markers (headrace.ingest.markers): whoever
has passed a marker has seen everything that was committed to the sources before it was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from graphlib import TopologicalSorter
from uuid import uuid4

from headrace.audit import dead_jobs
from headrace.batch import run as batch
from headrace.errors import HeadraceError, Problem
from headrace.ingest import controls, epochs, headers, markers, paused
from headrace.ingest.controls import Records
from headrace.ingest.paused import Pauses
from headrace.lake import landing
from headrace.live import reach
from headrace.live import run as live
from headrace.live.standing import standing
from headrace.project import Job, Project, Source
from headrace.pulls.pull import Overtaken, pull
from headrace.stream import ensure as stream
from headrace.stream.speed import NUDGE_SECONDS

Targets = dict[tuple[str, int], int]
POLL_SECONDS = 0.3
GIVE_WAY_SECONDS = 3.0  # a usual pull's time


@dataclass(frozen=True)
class Lag:
    """One consumer of the log and how many positions it is short of the target; 0 means it has everything."""

    stage: str  # 'landing', 'alert view', 'live view' or 'batch view'
    name: str
    behind: int
    note: str = ""
    paused: bool = False  # it falls behind because somebody wants it: nobody waits for it


@dataclass
class Nudge:
    """Wakes the readers of alert and live views that lag on topics where nothing else happens."""

    project: Project
    last: float = field(default_factory=time.monotonic)

    def due(self, lags: list[Lag]) -> None:
        """Writes a marker to the topics of the lagging views, at most once per NUDGE_SECONDS."""
        late = {lag.name for lag in lags if lag.stage in {"alert view", "live view"} and lag.behind}
        if late and time.monotonic() - self.last >= NUDGE_SECONDS:
            self.last = time.monotonic()
            topics = {t.topic for j in self.project.jobs if j.name in late for t in self.project.tables_behind(j)}
            markers.write(self.project, sorted(topics), headers.QUIET + uuid4().hex)


def measure(project: Project, targets: Targets, decided: Records | None = None) -> list[Lag]:
    """The lag of each landing table, alert view and batch view behind the targets. Reads positions, changes nothing.

    How far a paused source itself is ahead nobody can see from here: it counts as one position.
    """
    decided = decided or {}
    pauses = Pauses.of(decided)
    sources = [(s.name, pauses.source(s.name)) for s in project.sources if s.mode == "cdc"]
    lags = [Lag("source", name, 1, pause.text, True) for name, pause in sources if pause]
    for name, table in sorted(project.tables.items()):
        landed = landing.positions(project, name)
        goals = {p: t for (topic, p), t in targets.items() if topic == table.topic}
        behind = sum(max(0, goal + 1 - landed.get(p, 0)) for p, goal in goals.items())
        pause = pauses.landing(project, table)
        note = "; ".join(filter(None, [pause.text if pause else "", epochs.note(project, decided, table)]))
        lags.append(Lag("landing", name, behind, note, bool(pause)))
    for job in project.jobs:
        if job.kind == "stream":
            lags.append(_alert_lag(project, job, targets))
        else:
            lags.append(_live_lag(project, job, targets) if job.live else batch_lag(project, job))
    return lags


def wait(project: Project, timeout: float, progress: Callable[[str], None] = lambda text: None) -> float:
    """Returns, with the seconds it took, when all that was committed to the sources before the call is everywhere.

    Guarantee: on return each such change is landed (or in quarantine), in the current tables, and covered by every
    batch view and every alert view's last checkpoint; except what is paused, which `progress` is told of and nobody
    waits for. Raises HeadraceError naming what lags by how much after `timeout` seconds, or what failed.
    """
    began = time.monotonic()
    deadline = began + timeout
    for pause in paused.read(project).known(project):
        progress(f"not waiting for {pause.name}: {pause.text}")
    for source in project.sources:
        if source.mode == "cron":
            progress(f"pulling {source.name}")
            _pull(project, source, deadline, progress)
    progress("writing markers")
    targets = markers.mark(project, timeout=max(1.0, deadline - time.monotonic()))
    progress("waiting for landing")
    _until(project, targets, deadline, "landing")
    failed: list[Problem] = []
    for job in in_order(project):
        if _is_due(project, job):
            progress(f"running {job.name}")
            failed += _run(project, job, deadline)
    if failed:
        raise HeadraceError(*failed)
    progress("waiting for alert views and live views")
    _until(project, targets, deadline, "alert view", "live view")
    return time.monotonic() - began


def _pull(project: Project, source: Source, deadline: float, progress: Callable[[str], None]) -> None:
    while True:
        try:
            return dead_jobs.pulled(project, source.name, pull(project, source))
        except Overtaken:
            if time.monotonic() > deadline:
                raise
        # Airflow's. Nobody can see whether it comes to its end: it is given time to, then it is overtaken.
        progress(f"another pull of {source.name} has begun: once more")
        time.sleep(GIVE_WAY_SECONDS)


def _is_due(project: Project, job: Job) -> bool:
    """Whether a view lacks something that only a run brings: of a live view its first rows, or its speed job."""
    if not job.live:
        return bool(batch_lag(project, job).behind)
    try:
        return not reach.runs(project, job)
    except HeadraceError:  # a server is away: the run waits for it
        return True


def _run(project: Project, job: Job, deadline: float) -> tuple[Problem, ...]:
    """Runs a batch view. A mistake in its file is final; a server that is away is given until the deadline."""
    while True:
        try:
            live.run(project, job)
            return ()
        except HeadraceError as error:
            if any(problem.place for problem in error.problems) or time.monotonic() > deadline:
                return error.problems
            time.sleep(1.0)


def flow(project: Project, patience: float = 10.0) -> list[dict[str, object]]:
    """Where everything stands, for `status`: marks the sources, then gives each reader `patience` seconds to arrive.

    The note of a live view says up to when its batch layer speaks, and whether both layers agreed at last.
    """
    deadline = time.monotonic() + patience
    try:
        targets = markers.mark(project, timeout=patience)
    except HeadraceError as error:
        return [asdict(Lag("source", "", 1, error.problems[0].message))]
    nudge, decisions = Nudge(project), controls.Watched(project)
    while True:
        lags = measure(project, targets, decisions.now())
        if time.monotonic() > deadline or not any(
            lag.behind for lag in lags if lag.stage != "batch view" and not lag.paused
        ):
            stand = standing(project) if any(lag.stage == "live view" for lag in lags) else {}
            stand |= {job.name: _set_back(project, job) for job in in_order(project) if not job.live}
            return [asdict(replace(lag, note=lag.note or stand.get(lag.name, ""))) for lag in lags]
        nudge.due(lags)
        time.sleep(POLL_SECONDS)


def in_order(project: Project) -> list[Job]:
    """The batch jobs, each after the views it reads."""
    jobs = {job.name: job for job in project.jobs if job.kind == "batch"}
    graph = {job.name: {i.name for i in job.inputs if i.name in jobs} for job in jobs.values()}
    return [jobs[name] for name in TopologicalSorter(graph).static_order()]


def _alert_lag(project: Project, job: Job, targets: Targets) -> Lag:
    topics = {project.tables[i.table].topic for i in job.inputs}
    reached = stream.positions(project, job)
    goals = {key: goal for key, goal in targets.items() if key[0] in topics}
    return Lag("alert view", job.name, sum(max(0, goal + 1 - reached.get(key, 0)) for key, goal in goals.items()))


def _live_lag(project: Project, job: Job, targets: Targets) -> Lag:
    """By what its speed layer has read: what that lacks is in no layer."""
    reached = reach.reached(project, job)
    if reached is None:
        return Lag("live view", job.name, 1, "never published, or its file changed since")
    topics = {t.topic: t.name for t in project.tables_behind(job)}
    goals = {(topic, p): goal for (topic, p), goal in targets.items() if topic in topics}
    short = (max(0, goal + 1 - reached.get(topics[t], {}).get(p, 0)) for (t, p), goal in goals.items())
    return Lag("live view", job.name, sum(short))


def batch_lag(project: Project, job: Job) -> Lag:
    """How many landed positions a batch view's published rows do not cover; 1 when it was never published."""
    covered = batch.positions(project, job.name)
    if covered is None:
        return Lag("batch view", job.name, 1, "never published")
    behind = 0
    for table in project.tables_behind(job):
        reached = covered.get(table.name, {})
        data = landing.data_positions(project, table.name)
        behind += sum(max(0, position - reached.get(p, 0)) for p, position in data.items())
    return Lag("batch view", job.name, behind)


def _set_back(project: Project, job: Job) -> str:
    """What of a published batch view's inputs was set back to before what it covers, in words; '' for none."""
    covered = batch.positions(project, job.name) or {}
    tables = [table.name for table in project.tables_behind(job)]
    landed = {name: landing.positions(project, name) for name in tables}
    ahead = [n for n in tables if any(at > landed[n].get(p, 0) for p, at in covered.get(n, {}).items())]
    return f"it covers rows that are not in the lake any more: {', '.join(ahead)} was set back" if ahead else ""


def _until(project: Project, targets: Targets, deadline: float, *stages: str) -> None:
    nudge, decisions = Nudge(project), controls.Watched(project)
    while True:
        lags = measure(project, targets, decisions.now())
        late = [lag for lag in lags if lag.stage in stages and lag.behind and not lag.paused]
        if not late:
            return
        if time.monotonic() > deadline:
            said = [f"{lag.stage} {lag.name} is {lag.behind} positions behind. {lag.note}".strip() for lag in late]
            hint = "headrace status   shows the servers; headrace logs NAME   what one of them says"
            raise HeadraceError(*(Problem(text, hint=hint) for text in said))
        nudge.due(lags)
        time.sleep(POLL_SECONDS)
