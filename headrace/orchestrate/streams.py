"""Starts the DAG of a stream job that should run and doesn't, or runs with another code than its file has; stops a
job whose file was taken away, also a live view's.

Flink restarts failed tasks by itself. What it can't bring back (a JobManager that was killed, a job that somebody
cancelled) is noticed here within seconds; the DAG's own schedule would take minutes. Only the DAG makes jobs run. The
speed job of a live view is begun anew by a run of the view, so it is that DAG which is started.
"""

from __future__ import annotations

import time
from typing import Any

from headrace.orchestrate import names
from headrace.orchestrate.client import Airflow
from headrace.orchestrate.watch import Parts
from headrace.project import Project
from headrace.serve import live

APART = 60.0  # seconds between two starts of one job with the same code; twice as long after each that did not help
LONGEST = 3600.0


class Streams:
    """Knows which code each running job was submitted with: that never changes, so Flink is asked once per job."""

    def __init__(self, project: Project, parts: Parts) -> None:
        from headrace.stream import plan
        from headrace.stream.flink_rest import Flink

        self.project = project
        self.parts = parts
        self.jobs = [job for job in project.jobs if job.kind == "stream"]
        self._names = {job.name: plan.flink_name(project, job) for job in self.jobs}
        self._live = {job.name for job in project.jobs if job.kind == "batch" and job.live}
        self._versions = {job.name: plan.code_version(project, job) for job in self.jobs} | dict.fromkeys(
            self._live, ""
        )
        self.airflow = Airflow(project)
        self.flink = Flink(project.addresses.flink_rest)
        self._orphans: set[str] = set()
        self._codes: dict[str, str] = {}
        self._tried: dict[tuple[str, str], tuple[float, float]] = {}  # job and code → when, and seconds to wait since

    def beat(self) -> None:
        """One look. Raises HeadraceError while Flink is away; while Airflow is, a later beat starts what is missing."""
        jobs = self.flink.jobs()
        self._retire(jobs)
        if not self.jobs and not self._live:
            return
        missing = self._missing(jobs) | self._without_speed(jobs)
        self._tried = {key: known for key, known in self._tried.items() if key[0] in missing}
        wanted = {name: why for name, why in missing.items() if self._rested(name)}
        if wanted:
            self.parts.attempt("Airflow", lambda: self._start(wanted))

    def _retire(self, jobs: list[dict[str, Any]]) -> None:
        """At the second look: an editor or a checkout takes a file away for a moment and puts it back."""
        from headrace.stream import ensure, speed

        alerts = {job["jid"] for job in ensure.orphans(self.project, jobs)}
        views = {jid: of for of, jid in speed.named(self.project, jobs).items() if not self._has_file(of[0])}
        if alerts & self._orphans:
            for name in self.parts.attempt("jobs without a file", lambda: ensure.retire(self.project)) or []:
                self.parts.log(f"{name}: its file is gone, so it was stopped with a savepoint")
        for view, version in [of for jid, of in views.items() if jid in self._orphans]:
            self.parts.attempt("speed jobs without a file", lambda v=view, w=version: speed.stop(self.project, v, w))
            self.parts.log(f"{view}: its file is gone, so its speed job was stopped")
        self._orphans = alerts | views.keys()

    def _has_file(self, view: str) -> bool:
        return (self.project.root / "jobs" / "batch" / f"{view}.sql").exists()

    def _start(self, wanted: dict[str, str]) -> None:
        dags = {name: (names.batch_dag if name in self._live else names.stream_dag)(name) for name in wanted}
        active = self.airflow.active(dags.values())
        for name, why in wanted.items():
            dag = dags[name]
            if dag not in active and self.airflow.start(dag, f"{name} {why}"):
                self.parts.log(f"{name} {why}: its DAG is started")
                key = (name, self._versions[name])
                self._tried[key] = (time.monotonic(), min(2 * self._tried.get(key, (0, APART / 2))[1], LONGEST))

    def _missing(self, jobs: list[dict[str, Any]]) -> dict[str, str]:
        """Job → what is wrong with it."""
        running = {job["name"]: job["jid"] for job in reversed(jobs)}
        found = {}
        for name, at_flink in self._names.items():
            jid = running.get(at_flink)
            if jid is None:
                found[name] = "does not run"
            elif self._code(jid) not in {"", self._versions[name]}:
                found[name] = "does not run with the code of its file"
        return found

    def _without_speed(self, jobs: list[dict[str, Any]]) -> dict[str, str]:
        """Live views that were published and whose speed job does not run. A first run is announced by position."""
        from headrace.stream import speed

        missing = self._live - {view for view, _ in speed.named(self.project, jobs)}
        published = self.parts.attempt("PostgreSQL", lambda: live.all_published(self.project)) if missing else None
        return dict.fromkeys(missing & (published or set()), "has no speed job")

    def _code(self, jid: str) -> str:
        if not self._codes.get(jid):
            self._codes[jid] = self.flink.code(jid)
        return self._codes[jid]

    def _rested(self, name: str) -> bool:
        at, wait = self._tried.get((name, self._versions[name]), (0.0, 0.0))
        return time.monotonic() - at > wait
