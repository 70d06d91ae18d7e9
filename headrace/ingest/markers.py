"""Markers: records that make a position visible (CORRECTNESS 4).

The position of a commit that nobody captures never shows up on the bus, so nothing waits for positions of databases.
Instead a marker takes the road of the data: through the source's log and its connector, then onto every partition.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import orjson
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from headrace.errors import HeadraceError, Problem
from headrace.ingest import bus, database, headers, paused, topics
from headrace.project import Project, Source

Positions = dict[tuple[str, int], int]


def mark(project: Project, timeout: float, tables: Iterable[str] | None = None) -> Positions:
    """(topic, partition) → offset of a marker record behind everything committed to the sources before the call.

    A reader has seen all of it when its next offset is greater than the value. `tables` limits it to those tables (and
    their sources). Cron sources are covered up to their last pull, paused sources up to what came before the pause.
    Raises HeadraceError naming the sources whose marker did not come through within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    wanted = [t for t in project.tables.values() if tables is None or t.name in set(tables)]
    names = {t.source for t in wanted}
    sources = [s for s in project.sources if s.mode == "cdc" and s.name in names]
    if sources:
        pauses = paused.read(project)
        sources = [s for s in sources if not pauses.source(s.name)]
    marker = uuid4().hex
    if sources:
        _through_sources(project, sources, marker, deadline)
    return write(project, [t.topic for t in wanted], marker, max(1.0, deadline - time.monotonic()))


def complete(project: Project, names: list[str], epoch: int, position: str) -> None:
    """Says on the topics that a snapshot of their tables is whole: rows of before (epoch, position) are gone.

    Said twice it changes nothing. Raises HeadraceError when the bus does not acknowledge it.
    """
    more = [(headers.EPOCH, str(epoch).encode()), (headers.FLOOR, position.encode())]
    write(project, names, headers.QUIET + uuid4().hex, 30, more)


def write(project: Project, names: list[str], marker: str, timeout: float = 10, more: Any = ()) -> Positions:
    """Writes a marker record to every partition of the topics, acknowledged by all replicas; returns their offsets.

    Topics that aren't there are left out. Raises HeadraceError when a record is not acknowledged in time.
    """
    return {place: offset for place, (offset, _) in stamped(project, names, marker, timeout, more).items()}


def stamped(
    project: Project, names: list[str], marker: str, timeout: float = 10, more: Any = ()
) -> dict[tuple[str, int], tuple[int, float]]:
    """As `write`, with the append time that the broker gave each record, in seconds since 1970."""
    there = bus.partitions(project, timeout=timeout)
    value = orjson.dumps(
        {"op": "m", "before": None, "after": None, "source": {}, "ts_ms": int(time.time() * 1000), "marker": marker}
    )
    written: dict[tuple[str, int], tuple[int, float]] = {}
    failed: list[str] = []

    def delivered(error: Any, message: Any) -> None:
        if error:
            failed.append(f"{message.topic()} partition {message.partition()}: {error.str()}")
        else:
            written[message.topic(), message.partition()] = message.offset(), message.timestamp()[1] / 1000

    settings = bus.producer_settings(project, message_timeout_ms=int(timeout * 1000))
    producer = Producer(settings)
    head: Any = [(headers.MARKER, marker.encode()), *more]
    for topic in names:
        for partition in range(there.get(topic, 0)):
            producer.produce(topic, value, partition=partition, headers=head, on_delivery=delivered)
    if producer.flush(timeout) or failed:
        raise HeadraceError(
            "markers could not be written: " + ("; ".join(failed) or "the bus did not acknowledge them")
        )
    return written


def _through_sources(project: Project, sources: list[Source], marker: str, deadline: float) -> None:
    """Returns when each source's marker row was seen on the bus."""
    there = bus.partitions(project)
    topic_of = {topics.marker_topic(s): s for s in sources}
    ends = bus.ends(project, {t: there[t] for t in topic_of if t in there})
    settings = bus.settings(
        project, group_id="headrace-marker", isolation_level="read_committed", enable_auto_commit=False
    )
    consumer = Consumer(settings)
    try:
        consumer.assign([TopicPartition(t, p, at) for (t, p), at in ends.items()])
        problems: list[Problem] = []
        waiting: dict[str, Source] = {}
        for topic, source in topic_of.items():
            try:
                database.mark(project, source, marker)
                waiting[topic] = source
            except HeadraceError as error:
                problems += error.problems
        while waiting and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.05):
                if message.error() is None and marker.encode() in (message.value() or b""):
                    waiting.pop(str(message.topic()), None)
    except KafkaException as error:
        raise bus.unreachable(project, error) from error
    finally:
        consumer.close()
    for source in waiting.values():
        message = f"changes of source {source.name!r} do not come through: its marker was not seen on the bus in time"
        problems.append(Problem(message, source.place, f"headrace source check {source.name}"))
    if problems:
        raise HeadraceError(*problems)
