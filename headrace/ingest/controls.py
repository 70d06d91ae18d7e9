"""What people decided about sources and tables while they run: the newest record of each key on a topic.

It lives on the bus, since everybody who has to obey reads the bus anyway, on whatever machine: a decision survives
restarts of every process, and needs no file that all of them share.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from headrace.errors import HeadraceError
from headrace.ingest import bus, topics
from headrace.project import Project

Records = dict[tuple[str, ...], dict[str, Any]]  # (what, source) or (what, source, table) → the newest record


def read(project: Project) -> Records:
    """Every decision that holds now. Raises HeadraceError when the bus does not answer."""
    found: Records = {}
    for message in bus.read_to_end(project, topics.CONTROLS):
        key = tuple((message.key() or b"").decode().split("/"))
        if message.value():
            found[key] = orjson.loads(message.value())
        else:
            found.pop(key, None)
    return found


def write(project: Project, changes: dict[tuple[str, ...], dict[str, Any] | None]) -> None:
    """Replaces records, or takes them away (None); returns when all replicas have them. Raises HeadraceError else."""
    if topics.CONTROLS not in bus.partitions(project):
        topics.ensure(project)
    failed: list[str] = []
    producer = Producer(bus.producer_settings(project, message_timeout_ms=30_000))
    for key, value in changes.items():
        producer.produce(
            topics.CONTROLS,
            None if value is None else orjson.dumps(value),
            "/".join(key),
            on_delivery=lambda error, _: failed.append(error.str()) if error else None,
        )
    if producer.flush(35) or failed:
        raise HeadraceError("the decision could not be written: " + ("; ".join(failed) or "the bus does not answer"))


class Watched:
    """The decisions for somebody who looks often: read again only when there are new ones."""

    def __init__(self, project: Project, client: AdminClient | None = None) -> None:
        self.project = project
        self._client = client or bus.admin(project)
        self._end: dict[tuple[str, int], int] = {}
        self._records: Records = {}

    def now(self) -> Records:
        """As `read`; one question to the bus when nothing was decided since the last call."""
        if topics.CONTROLS not in bus.partitions(self.project, self._client):
            return {}
        end = bus.ends(self.project, {topics.CONTROLS: 1}, self._client)
        if end != self._end:
            self._records, self._end = read(self.project), end
        return self._records


def now() -> int:
    """The time of a decision: Unix seconds."""
    return int(time.time())
