"""Has a live view's speed job started that should run and doesn't, and stops one whose view is gone or no longer live.

Only a run of the view makes its speed job run: the run knows the cut that the job begins at. It does so first of all,
before it computes anything, so this starts the view's DAG.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from headrace.orchestrate import names
from headrace.orchestrate.backoff import Backoff
from headrace.orchestrate.client import Airflow
from headrace.orchestrate.watch import Parts
from headrace.project import Project

SUFFIXES = (".sql", ".py")
NOTE_SECONDS = 60.0  # how often it is noted where each job is


class SpeedJobs:
    """The speed jobs of one project. Which should run says ops.live_views: the published version of each live view."""

    def __init__(self, project: Project, parts: Parts) -> None:
        from headrace.stream.flink_rest import Flink

        self.project = project
        self.parts = parts
        self.live = {job.name for job in project.jobs if job.kind == "batch" and job.live}
        self.airflow = Airflow(project)
        self.flink = Flink(project.addresses.flink_rest)
        self._stray: set[tuple[str, str]] = set()
        self._noted = float("-inf")
        self._backoff = Backoff()

    def beat(self) -> None:
        """One look. Raises HeadraceError while Flink or PostgreSQL is away; a later beat starts what is missing."""
        from headrace.stream import speed

        running = speed.named(self.project, self.flink.jobs())
        self._stop(running)
        if running and time.monotonic() - self._noted >= NOTE_SECONDS:
            speed.note(self.project, running)
            self._noted = time.monotonic()
        if not self.live:
            return
        missing = {n: v for n, v in self._published().items() if n in self.live and (n, v) not in running}
        self._backoff.only(missing)
        wanted = {name: version for name, version in missing.items() if self._backoff.rested(name, version)}
        if wanted:
            self.parts.attempt("Airflow", lambda: self._start(wanted))

    def _stop(self, running: Iterable[tuple[str, str]]) -> None:
        """At the second look: an editor or a checkout takes a file away for a moment and puts it back."""
        from headrace.stream import speed

        stray = {one for one in running if not self._wanted(one[0])}
        for name, version in sorted(stray & self._stray):
            part = f"the speed job of {name}"
            self.parts.attempt(part, lambda n=name, v=version: speed.stop(self.project, n, v))
            if self.parts.well(part):
                self.parts.log(f"{name}: its file is gone or no longer live, so its speed job was stopped")
        self._stray = stray

    def _wanted(self, name: str) -> bool:
        """A file with a mistake is in no project, and its job goes on."""
        known = any(job.name == name and job.kind == "batch" for job in self.project.jobs)
        folder = self.project.root / "jobs" / "batch"
        return name in self.live if known else any((folder / f"{name}{s}").exists() for s in SUFFIXES)

    def _start(self, wanted: dict[str, str]) -> None:
        active = self.airflow.active(names.batch_dag(name) for name in wanted)
        for name, version in wanted.items():
            dag = names.batch_dag(name)
            if dag not in active and self.airflow.start(dag, f"the speed job of {name} does not run"):
                self.parts.log(f"the speed job of {name} does not run: the view's DAG is started")
                self._backoff.tried(name, version)

    def _published(self) -> dict[str, str]:
        from headrace.serve import ops
        from headrace.serve.database import connect

        with connect(self.project) as connection:
            return ops.live_versions(connection)
