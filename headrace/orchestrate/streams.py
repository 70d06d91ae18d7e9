"""Starts the DAG of a stream job that should run and doesn't, or runs with another code than its file has; stops a
job whose file was taken away.

Flink restarts failed tasks by itself. What it can't bring back (a job that somebody cancelled, a JobManager's memory
that is gone) is noticed here within seconds; the DAG's own schedule would take minutes. Only the DAG makes jobs run.
"""

from __future__ import annotations

from typing import Any

from headrace.orchestrate import names
from headrace.orchestrate.backoff import Backoff
from headrace.orchestrate.client import Airflow
from headrace.orchestrate.watch import Parts
from headrace.project import Project


class Streams:
    """Knows which code each running job was submitted with: that never changes, so Flink is asked once per job."""

    def __init__(self, project: Project, parts: Parts) -> None:
        from headrace.stream import plan
        from headrace.stream.flink_rest import Flink

        self.project = project
        self.parts = parts
        self.jobs = [job for job in project.jobs if job.kind == "stream"]
        self._names = {job.name: plan.flink_name(project, job) for job in self.jobs}
        self._versions = {job.name: plan.code_version(project, job) for job in self.jobs}
        self.airflow = Airflow(project)
        self.flink = Flink(project.addresses.flink_rest)
        self._orphans: set[str] = set()
        self._codes: dict[str, str] = {}
        self._backoff = Backoff()

    def beat(self) -> None:
        """One look. Raises HeadraceError while Flink is away; while Airflow is, a later beat starts what is missing."""
        jobs = self.flink.jobs()
        self._retire(jobs)
        if not self.jobs:
            return
        missing = self._missing(jobs)
        self._backoff.only(missing)
        wanted = {n: why for n, why in missing.items() if self._backoff.rested(n, self._versions[n])}
        if wanted:
            self.parts.attempt("Airflow", lambda: self._start(wanted))

    def _retire(self, jobs: list[dict[str, Any]]) -> None:
        """At the second look: an editor or a checkout takes a file away for a moment and puts it back."""
        from headrace.stream import ensure

        gone = {job["jid"] for job in ensure.orphans(self.project, jobs)}
        if gone & self._orphans:
            for name in self.parts.attempt("jobs without a file", lambda: ensure.retire(self.project)) or []:
                self.parts.log(f"{name}: its file is gone, so it was stopped with a savepoint")
        self._orphans = gone

    def _start(self, wanted: dict[str, str]) -> None:
        active = self.airflow.active(names.stream_dag(name) for name in wanted)
        for name, why in wanted.items():
            dag = names.stream_dag(name)
            if dag not in active and self.airflow.start(dag, f"{name} {why}"):
                self.parts.log(f"{name} {why}: its DAG is started")
                self._backoff.tried(name, self._versions[name])

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

    def _code(self, jid: str) -> str:
        if not self._codes.get(jid):
            self._codes[jid] = self.flink.code(jid)
        return self._codes[jid]
