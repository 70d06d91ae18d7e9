"""Starts the DAG of a stream job that should run and doesn't, or runs with another code than its file has.

Flink restarts failed tasks by itself. What it can't bring back (a JobManager that was killed, a job that somebody
cancelled) is noticed here within seconds; the DAG's own schedule would take minutes. Only the DAG makes jobs run.
"""

from __future__ import annotations

import time

from headrace.orchestrate import names
from headrace.orchestrate.client import Airflow
from headrace.orchestrate.watch import Parts
from headrace.project import Project

APART = 120.0  # seconds between two starts for the same reason; a job that can't start is its schedule's business


class Streams:
    """Knows which code each running job was submitted with: that never changes, so Flink is asked once per job."""

    def __init__(self, project: Project, parts: Parts) -> None:
        from headrace.stream.flink_rest import Flink

        self.project = project
        self.parts = parts
        self.jobs = [job for job in project.jobs if job.kind == "stream"]
        self.airflow = Airflow(project)
        self.flink = Flink(project.addresses.flink_rest)
        self._codes: dict[str, str] = {}
        self._started: dict[tuple[str, str], float] = {}

    def beat(self) -> None:
        """One look. Raises HeadraceError while Flink is away; while Airflow is, a later beat starts what is missing."""
        if self.jobs:
            wanted = {name: why for name, why in self._reasons().items() if self._rested(name, why)}
            if wanted:
                self.parts.attempt("Airflow", lambda: self._start(wanted))

    def _start(self, wanted: dict[str, str]) -> None:
        active = self.airflow.active(names.stream_dag(name) for name in wanted)
        for name, why in wanted.items():
            dag = names.stream_dag(name)
            if dag not in active and self.airflow.start(dag, f"{name} {why}"):
                self.parts.log(f"{name} {why}: its DAG is started")
            self._started[name, why] = time.monotonic()

    def _reasons(self) -> dict[str, str]:
        from headrace.stream import plan

        running = {job["name"]: job["jid"] for job in reversed(self.flink.jobs())}
        found = {}
        for job in self.jobs:
            jid = running.get(plan.flink_name(self.project, job))
            version = plan.code_version(self.project, job)
            if jid is None:
                found[job.name] = "does not run"
            elif self._code(jid) not in {"", version}:
                found[job.name] = f"does not run with the code of its file ({version})"
        return found

    def _code(self, jid: str) -> str:
        if not self._codes.get(jid):
            self._codes[jid] = self.flink.code(jid)
        return self._codes[jid]

    def _rested(self, name: str, why: str) -> bool:
        return time.monotonic() - self._started.get((name, why), -APART) >= APART
