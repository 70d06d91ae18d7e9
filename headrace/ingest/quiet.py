"""Closes the last windows of topics on which nothing comes any more, by markers at growing intervals."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from headrace.ingest import bus, headers, markers
from headrace.project import Project

FIRST = 10.0  # seconds of silence before the first marker; each next one comes after twice as long
LAST = 1800.0  # silence after which no more come: every window of ordinary length is closed by then


@dataclass
class _Topic:
    ends: dict[int, int] = field(default_factory=dict)
    since: float = 0.0  # when something last came, by our clock
    due: float = FIRST  # seconds of silence until the next marker


class Quiet:
    """Called every few seconds by the pulse. Event time stands still on a topic without records; markers move it."""

    def __init__(self, project: Project, clock: Callable[[], float] = time.monotonic) -> None:
        self.project = project
        self._clock = clock
        self._client: AdminClient | None = None
        self._topics: dict[str, _Topic] = {}

    def tick(self) -> list[str]:
        """Writes markers to the topics that are due, a record per partition; returns their names.

        Raises HeadraceError when the bus does not answer; the next tick goes on from there.
        """
        self._client = self._client or bus.admin(self.project)
        there = bus.partitions(self.project, self._client)
        counts = {t.topic: there[t.topic] for t in self.project.tables.values() if t.topic in there}
        now = self._clock()
        ends: dict[str, dict[int, int]] = {}
        for (topic, partition), end in bus.ends(self.project, counts, self._client).items():
            ends.setdefault(topic, {})[partition] = end
        due = [topic for topic, found in ends.items() if self._due(topic, found, now)]
        if due:
            for (topic, partition), offset in markers.write(self.project, due, headers.QUIET + uuid4().hex).items():
                # Only our own record moves the expected end: one more, and something else has come in between.
                if self._topics[topic].ends.get(partition) == offset:
                    self._topics[topic].ends[partition] = offset + 1
        return due

    def _due(self, topic: str, ends: dict[int, int], now: float) -> bool:
        known = self._topics.setdefault(topic, _Topic())
        if ends != known.ends:
            known.ends, known.since, known.due = ends, now, FIRST
            return False
        silent = now - known.since
        if not any(ends.values()) or silent < known.due or known.due > LAST:
            return False
        known.due *= 2
        return True
