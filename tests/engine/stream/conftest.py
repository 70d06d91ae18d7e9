"""The example's contracts and stream jobs on a bus, a Flink and a PostgreSQL of this folder's own: tests kill them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer

from headrace.local import supervise
from headrace.project import Project, load
from headrace.stream import ensure as stream
from tests.engine.conftest import runs, stop_all

EXAMPLE = Path(__file__).parents[3]
PAYMENTS, ORDERS = "payments.payments.payments", "orders.public.orders"


def iso(moment: float) -> str:
    """Unix seconds as the bus has timestamps."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Company:
    """The running company: what services would do, and what a reader sees."""

    project: Project
    until: Callable[..., Any]
    sent: dict[tuple[str, int], int] = field(default_factory=dict)  # (topic, partition) → offset after the last record

    def __post_init__(self) -> None:
        self.producer = Producer(
            {"bootstrap.servers": self.project.addresses.bus, "linger.ms": 1, "acks": "all", "log_level": 2}
        )

    def send(self, topic: str, value: Any, key: object = None, partition: int = -1, **headers: bytes) -> None:
        """One record; bytes go as they are, everything else as JSON."""
        value = value if isinstance(value, bytes) else json.dumps(value).encode()
        key = None if key is None else str(key).encode()
        self.producer.produce(topic, value, key, partition, on_delivery=self._delivered, headers=list(headers.items()))
        self.producer.poll(0)

    def payment(self, id: int, status: str, amount: str = "10.00", at: float | None = None, **more: Any) -> None:
        at = at or time.time()
        row = {"id": id, "order_id": 1, "account_id": 1, "amount": amount, "method": "card", "status": status}
        self.change(PAYMENTS, {**row, "created_at": iso(at), "updated_at": iso(at), **more})

    def order(self, id: int, status: str, at: float, **more: Any) -> None:
        row = {"id": id, "customer_id": 1, "restaurant_id": 1, "status": status, "total": "10.00", "refunded": "0.00"}
        self.change(ORDERS, {**row, "placed_at": iso(at), "updated_at": iso(at), **more})

    def change(self, topic: str, row: dict[str, Any], op: str = "c") -> None:
        images = {"before": row, "after": None} if op == "d" else {"before": None, "after": row}
        self.send(topic, {"op": op, **images, "source": {"ts_ms": 0}, "ts_ms": 0}, row["id"])

    def event(self, table: str, event_id: str, at: float, **values: Any) -> None:
        self.send(f"events.{table}", {"event_id": event_id, "occurred_at": iso(at), **values}, values.get("order_id"))

    def mark(self, *tables: str) -> None:
        """A marker on every partition of the tables' topics: it moves their watermarks to now."""
        value = {"op": "m", "before": None, "after": None, "source": {}, "ts_ms": 0, "marker": "test"}
        for table in tables or self.project.tables:
            for partition in range(self.project.settings.partitions):
                self.send(self.project.table(table).topic, value, partition=partition, **{"headrace-marker": b"test"})
        self.producer.flush()

    def read_by(self, job: str) -> bool:
        """Whether the job's last checkpoint covers all that was sent."""
        self.producer.flush()
        topics = {self.project.table(i.table).topic for i in self.project.job(job).inputs}
        reached = stream.positions(self.project, job)
        return all(reached.get(at, 0) >= end for at, end in self.sent.items() if at[0] in topics)

    def rows(self, query: str, role: str = "reader") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.project.addresses.serving(role)) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def on_topic(self, topic: str, seconds: float = 10.0) -> list[tuple[Any, Any]]:
        """Key and value of all records of a topic; a tombstone's value is None."""
        consumer = Consumer(
            {"bootstrap.servers": self.project.addresses.bus, "group.id": "test", "enable.partition.eof": True}
        )
        from confluent_kafka import TopicPartition

        count = len(consumer.list_topics(topic).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, p, 0) for p in range(count)])
        found, ended, end = [], 0, time.monotonic() + seconds
        while ended < count and time.monotonic() < end:
            message = consumer.poll(0.5)
            if message is None:  # (a tombstone is false)
                continue
            if message.error():
                ended += 1
            else:
                value = message.value()
                found.append((json.loads(message.key()), None if value is None else json.loads(value)))
        consumer.close()
        return found

    def write_job(self, name: str, text: str) -> None:
        (self.project.root / "jobs" / "stream" / f"{name}.sql").write_text(text)
        self.project = load(self.project.root)

    def kill(self, server: str) -> None:
        """kill -9 of a server; returns when supervisor has another one."""
        pid = supervise.states(self.project)[server]["pid"]
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: supervise.states(self.project)[server]["pid"] not in (0, pid), 30, f"{server} is back")

    def _delivered(self, error: object, message: Any) -> None:
        assert error is None, error
        at = message.topic(), message.partition()
        self.sent[at] = max(self.sent.get(at, 0), message.offset() + 1)


_companies: list[Company] = []


@pytest.fixture(scope="module")
def company(
    request: pytest.FixtureRequest,
    make_project: Callable[..., Project],
    platform: Callable[..., Project],
    until: Callable[..., Any],
) -> Company:
    """One for the session, and another one when a file between stopped every server, or when the file says that it
    needs one in which nothing has happened (`NEW_COMPANY = True`)."""
    if _companies and runs(_companies[-1].project) and not getattr(request.module, "NEW_COMPANY", False):
        return _companies[-1]
    stop_all()
    files = {}
    for pattern in ("schemas/*.yaml", "lake/sources/*.yml", "jobs/stream/*"):
        files |= {str(p.relative_to(EXAMPLE)): p.read_text() for p in EXAMPLE.glob(pattern) if p.is_file()}
    project = platform(make_project(files), only={"bus", "flink", "postgres"})
    _companies.append(Company(project, until))
    return _companies[-1]
