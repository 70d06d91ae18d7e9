"""How far landing is behind the bus, by position, and for how long its oldest row has waited."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from headrace.ingest import bus, controls
from headrace.ingest.paused import Pauses
from headrace.lake import landing, letters, paths
from headrace.lake.selection import Selection
from headrace.project import Project

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

ANSWER_SECONDS = 2.0  # what the bus is given to show what comes next in each partition
Partition = tuple[str, int]


class Ingestion:
    """Asks the bus and the lake. Keeps a connection to the bus; changes nothing."""

    def __init__(self) -> None:
        self._consumer: Consumer | None = None
        self._client: AdminClient | None = None
        self._decided: controls.Watched | None = None
        self._last: dict[Partition, float] = {}  # what was waiting at the last look
        self._free: dict[Partition, float] = {}  # when nothing was waiting last (Unix seconds)

    def collect(self, project: Project) -> Iterator[Metric]:
        """Delay in seconds and positions per table, and how many positions are landed.

        A table's delay is the age of the oldest committed row on the bus that is not landed, 0 when there is none, so
        a position behind which the log has no row (an end of a transaction) counts as reached. A table that somebody
        paused waits because they want it: `headrace_paused` says so, and nobody is told.
        """
        tables = {t.topic: t.name for t in project.tables.values()}
        sources = {t.name: t.source for t in project.tables.values()}
        client = self._client = self._client or bus.admin(project)
        there = bus.partitions(project, client)
        ends = bus.ends(project, {topic: there[topic] for topic in tables if topic in there}, client)
        ids = bus.topic_ids(project, client, sorted(tables.keys() & there.keys()))
        # Of a topic that was made anew nothing is landed.
        same = {topic: name for topic, name in tables.items() if landing.topic_id(project, name) == ids.get(topic)}
        landed = {(t, p): at for t, name in same.items() for p, at in landing.positions(project, name).items()}
        open_ = {key: landed.get(key, 0) for key, end in ends.items() if end > landed.get(key, 0)}
        self._free |= dict.fromkeys(ends.keys() - open_.keys(), time.time())
        waiting = self._waiting(project, open_)
        now, labels = time.time(), ("source", "table")
        seconds = GaugeMetricFamily(
            "headrace_ingestion_delay_seconds", "Age of the oldest row on the bus that is not landed.", labels=labels
        )
        behind = GaugeMetricFamily(
            "headrace_ingestion_behind_positions", "Positions of the bus that are not landed.", labels=labels
        )
        moved = CounterMetricFamily("headrace_landed_positions", "Positions of the bus that are landed.", labels=labels)
        held = GaugeMetricFamily("headrace_paused", "1 while somebody has paused it.", labels=labels)
        if self._decided is None or self._decided.project is not project:
            self._decided = controls.Watched(project, client)
        pauses = Pauses.of(self._decided.now())
        for topic, name in sorted(tables.items()):
            held.add_metric((sources[name], name), float(pauses.landing(project, project.table(name)) is not None))
            ages = [now - at for (t, _), at in waiting.items() if t == topic]
            short = [ends[key] - at for key, at in open_.items() if key in waiting and key[0] == topic]
            seconds.add_metric((sources[name], name), max(ages, default=0.0))
            behind.add_metric((sources[name], name), sum(short))
            moved.add_metric((sources[name], name), sum(at for (t, _), at in landed.items() if t == topic))
        yield from (seconds, behind, moved, held)

    def _waiting(self, project: Project, positions: dict[Partition, int]) -> dict[Partition, float]:
        """(topic, partition) → append time (Unix seconds) of the first committed record at or behind a position. A
        partition that gives no answer in time is as it was at the last look."""
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        if not positions:
            self._last = {}
            return {}
        if self._consumer is None:
            options: dict[str, Any] = {
                "group_id": f"headrace-{project.settings.name}-metrics",
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
                "isolation_level": "read_committed",
                "enable_partition_eof": True,
                "max_partition_fetch_bytes": 1 << 16,
            }
            self._consumer = Consumer(bus.settings(project, **options))
        consumer, found, done = self._consumer, dict[Partition, float](), set[Partition]()
        consumer.assign([TopicPartition(topic, p, at) for (topic, p), at in positions.items()])
        deadline = time.monotonic() + ANSWER_SECONDS
        while len(done) < len(positions) and time.monotonic() < deadline:
            for message in consumer.consume(500, timeout=0.2):
                key, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if error and error.code() != KafkaError._PARTITION_EOF:
                    continue
                if not error and key not in done:
                    # Rows of a transaction are there from its end on, whatever time they were sent at.
                    found[key] = max(message.timestamp()[1] / 1000, self._free.get(key, 0.0))
                done.add(key)
        consumer.unassign()
        self._last = found | {key: at for key, at in self._last.items() if key in positions and key not in done}
        self._free |= dict.fromkeys((positions.keys() & done) - found.keys(), time.time())
        return self._last


def rejected(project: Project) -> Iterator[Metric]:
    """Rows that broke their contract, per table, by the logs of the quarantines alone."""
    found = CounterMetricFamily("headrace_quarantined_rows", "Rows that broke their contract.", labels=("table",))
    for table in (*sorted(project.tables), paths.UNKNOWN):
        found.add_metric((table,), landing.quarantined(project, table))
    yield found


def waiting(project: Project) -> Iterator[Metric]:
    """Rejected rows that nobody has replayed or dropped; to know that, landing is read since the first of them."""
    found = GaugeMetricFamily("headrace_quarantine_open_rows", "Neither replayed nor dropped.", labels=("table",))
    open_ = Counter[str]()
    for row in letters.groups(project, Selection()):
        open_[row["table"] or ""] += row["open"]
    for table in (*sorted(project.tables), paths.UNKNOWN):
        found.add_metric((table,), open_[table])
    yield found
