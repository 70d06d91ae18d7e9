"""The pulse: `headrace work pulse`. Every two seconds it looks what has changed and tells whoever has to act on it.

It holds no state that matters: what is due follows from positions in the lake and in PostgreSQL, so after a crash, or
an outage of any part, the next beat finds the same things due and announces them again. When nothing changes, a beat
costs a `stat` per file and per table, and one question to the bus.

Each concern beats in a thread of its own: while Kafka Connect takes its minute to answer, views are announced.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from headrace.ingest.wall_clock import WallClock
from headrace.orchestrate.announce import Announcer
from headrace.orchestrate.names import dags_folder
from headrace.orchestrate.speed import SpeedJobs
from headrace.orchestrate.streams import Streams
from headrace.orchestrate.watch import Files, Parts
from headrace.project import Project, load

if TYPE_CHECKING:
    from headrace.ingest.controls import Records, Watched
    from headrace.ingest.quiet import Quiet

BEAT = 2.0  # seconds
SLOW_BEAT = 10.0  # seconds between two looks at connectors and at stream jobs


def main(project: Project) -> None:
    """Runs until the process is ended. Survives any part being away, with one line in the log per change of state."""
    pulse = Pulse(project)
    pulse.parts.log(f"beats every {BEAT:g} s for {project.settings.name}")
    for name, seconds, beat in pulse.beats():
        threading.Thread(target=_beat, args=(pulse.parts, name, seconds, beat), name=name, daemon=True).start()
    _beat(pulse.parts, "project", BEAT, pulse.follow_files)


def _beat(parts: Parts, part: str, seconds: float, beat: Callable[[], None]) -> None:
    while True:
        began = time.monotonic()
        parts.attempt(part, beat)
        time.sleep(max(0.1, seconds - (time.monotonic() - began)))


class Pulse:
    """One project's pulse. When its files change, every concern is made anew with the project as it is then."""

    def __init__(self, project: Project, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        self.project = project
        self.files = Files(project.root)
        self._set_up_due = False
        self._announcer: Announcer | None = None
        self._quiet: Quiet | None = None
        self._streams: Streams | None = None
        self._speed: SpeedJobs | None = None
        self._controls: Watched | None = None

    def beats(self) -> list[tuple[str, float, Callable[[], None]]]:
        """Name, seconds and what to do, for each concern."""
        return [
            ("clock", BEAT, WallClock().leave_if_set_back),
            ("quiet topics", BEAT, self.mark_quiet_topics),
            ("new data", BEAT, self.announce),
            ("connectors", SLOW_BEAT, self.restart_connectors),
            ("stream jobs", SLOW_BEAT, self.start_streams),
            ("speed jobs", SLOW_BEAT, self.start_speed_jobs),
        ]

    def follow_files(self) -> None:
        """Takes the project as its files are now and makes Airflow read it; raises when headrace.yml is wrong."""
        if not self.files.changed():
            return
        self.project = project = load(self.project.root)
        counts = f"{len(project.sources)} sources, {len(project.jobs)} jobs, {len(project.problems)} mistakes"
        self.parts.log(f"the project changed: {counts}")
        self._set_up_due = True
        touch_dags(project)

    def announce(self) -> None:
        """Announces due views; keeps what it has announced over changes of the project."""
        if self._announcer is None:
            self._announcer = Announcer(self.project, self.parts)
        elif self._announcer.project is not self.project:
            self._announcer.take(self.project)
        self._announcer.beat()

    def mark_quiet_topics(self) -> None:
        """Lets the last windows of topics close on which nothing comes any more."""
        from headrace.ingest.quiet import Quiet

        if self._quiet is None or self._quiet.project is not self.project:
            self._quiet = Quiet(self.project)
        self._quiet.tick()

    def start_streams(self) -> None:
        """Starts the DAG of each stream job that should run and doesn't."""
        if self._streams is None or self._streams.project is not self.project:
            self._streams = Streams(self.project, self.parts)
        self._streams.beat()

    def start_speed_jobs(self) -> None:
        """Starts the DAG of each live view whose speed job should run and doesn't."""
        if self._speed is None or self._speed.project is not self.project:
            self._speed = SpeedJobs(self.project, self.parts)
        self._speed.beat()

    def restart_connectors(self) -> None:
        """Starts failed connectors again, stops paused ones, begins snapshots anew where they were asked for or columns
        came that older rows have values in, and completes them; after a change of the project, makes topics and
        connectors as its files say.

        Not at the start: `up` has its own order, in which databases may be filled before connectors see them.
        """
        from headrace.ingest import connectors, epochs, topics

        project = self.project
        if self._set_up_due:
            topics.ensure(project)
            connectors.ensure(project)
            self._set_up_due = False
        if not any(source.mode == "cdc" for source in project.sources):
            return
        decided, found = self._decisions(), connectors.states(project)
        astray, outdated = connectors.astray(found, decided), connectors.outdated(project, found, decided)
        if astray:
            self.parts.log(f"setting right the connectors of {', '.join(astray)}")
        for source, columns in outdated.items():
            self.parts.log(f"a new snapshot of {source}: older rows have values in {', '.join(columns)}")
        if astray or outdated:
            connectors.ensure(project)
        epochs.settle(project, decided)

    def _decisions(self) -> Records:
        """What people decided. A command that was killed between its steps is ended by this."""
        from headrace.ingest.controls import Watched

        if self._controls is None or self._controls.project is not self.project:
            self._controls = Watched(self.project)
        return self._controls.now()


def touch_dags(project: Project) -> None:
    """Gives the files in dags/ a new time: Airflow then reads them within seconds instead of at its next interval.

    Where the folder is read-only (an image, another user's checkout) the interval has to do.
    """
    for file in dags_folder(project).glob("*.py"):
        try:
            os.utime(file)
        except OSError:
            continue
