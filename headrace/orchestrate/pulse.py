"""The pulse: `headrace work pulse`. Every two seconds it looks what has changed and tells whoever has to act on it.

It holds no state that matters: what is due follows from positions in the lake and in PostgreSQL, so after a crash, or
an outage of any part, the next beat finds the same things due and announces them again. When nothing changes, a beat
costs a `stat` per file and per table.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec

from headrace.orchestrate.announce import Announcer
from headrace.orchestrate.names import dags_folder
from headrace.orchestrate.watch import Files, Parts
from headrace.project import Project, load

BEAT = 2.0  # seconds
CONNECTORS = 10.0  # seconds between two looks at the connectors


def main(project: Project) -> None:
    """Runs until the process is ended. Survives any part being away, with one line in the log per change of state."""
    pulse = Pulse(project)
    pulse.parts.log(f"beats every {BEAT:g} s for {project.settings.name}")
    while True:
        began = time.monotonic()
        pulse.beat()
        time.sleep(max(0.1, BEAT - (time.monotonic() - began)))


class Pulse:
    """One project's pulse; `beat` does everything that is due now."""

    def __init__(self, project: Project, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        self.project = project
        self.files = Files(project.root)
        self.announcer = Announcer(project, self.parts)
        self._quiet: object = None
        self._connectors_at = 0.0
        self._set_up()

    def beat(self) -> None:
        """One look at everything; returns when it has been acted on or found to be away."""
        if self.files.changed():
            self.reload()
        self.parts.attempt("quiet topics", self._mark_quiet_topics)
        self.parts.attempt("new data", self.announcer.beat)
        if time.monotonic() >= self._connectors_at:
            self._connectors_at = time.monotonic() + CONNECTORS
            self.parts.attempt("connectors", self._restart_connectors)

    def reload(self) -> None:
        """Takes the project as its files are now, makes Airflow read it at once, and sets up what new sources need."""
        project = self.parts.attempt("project", lambda: load(self.project.root))
        if project is None:
            return
        counts = f"{len(project.sources)} sources, {len(project.jobs)} jobs, {len(project.problems)} mistakes"
        self.parts.log(f"the project changed: {counts}")
        self.project, self._quiet = project, None
        self.announcer.take(project)
        touch_dags(project)
        self._set_up()

    def _set_up(self) -> None:
        if find_spec("headrace.ingest"):
            from headrace.ingest import connectors, topics

            self.parts.attempt("bus", lambda: topics.ensure(self.project))
            self.parts.attempt("connectors", lambda: connectors.ensure(self.project))

    def _mark_quiet_topics(self) -> None:
        if self._quiet is None:
            from headrace.ingest.quiet import Quiet

            self._quiet = Quiet(self.project)
        self._quiet.tick()  # type: ignore[attr-defined]

    def _restart_connectors(self) -> None:
        from headrace.ingest import connectors

        if not any(source.mode == "cdc" for source in self.project.sources):
            return
        failed = [str(s["source"]) for s in connectors.states(self.project) if s["state"] == "FAILED"]
        if failed:
            self.parts.log(f"starting again the connectors of {', '.join(failed)}")
            connectors.ensure(self.project)


def touch_dags(project: Project) -> None:
    """Gives the files in dags/ a new time: Airflow then reads them within seconds instead of at its next interval.

    Where the folder is read-only (an image, another user's checkout) the interval has to do.
    """
    for file in dags_folder(project).glob("*.py"):
        try:
            os.utime(file)
        except OSError:
            continue
