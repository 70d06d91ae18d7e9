"""A table of which tests write the changes as they would stand on the bus, and live views over it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from headrace.ingest import topics
from headrace.project import Project, load
from headrace.serve.database import connect
from tests.engine.ingest.conftest import workers

from .writer import asked

COLUMNS = "id integer key;shop integer;kind string;amount decimal(10,2);placed timestamp"
KINDS = ("open", "paid", "void", None)
Row = dict[str, Any]


@dataclass
class Table:
    """Rows of a service, and every change of them on the bus."""

    project: Project
    name: str
    rows: dict[int, Row] = field(default_factory=dict)
    next_id: int = 1
    lsn: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    places: dict[int, int] = field(default_factory=dict)  # of each row: it stays in its partition

    def __post_init__(self) -> None:
        self.bus = {"bootstrap.servers": self.project.addresses.bus, "log_level": 2}  # it lives longer than servers
        self.producer = Producer({**self.bus, "linger.ms": 1, "acks": "all"})
        self.table = self.project.table(self.name)
        self.partitions = self.project.settings.partitions

    def row(self, id_: int) -> Row:
        amount = None if self.chance.random() < 0.1 else f"{self.chance.randrange(-10_000, 100_000) / 100:.2f}"
        day, kind = self.chance.randrange(1, 5), self.chance.choice(KINDS)
        return {"id": id_, "shop": self.chance.randrange(1, 8), "kind": kind, "amount": amount,
                "placed": f"2026-01-0{day}T23:59:{self.chance.randrange(10, 60)}.5Z"}  # fmt: skip

    def insert(self) -> None:
        row = self.row(self.next_id)
        self.rows[self.next_id] = row
        self.next_id += 1
        self.send("c", None, row)

    def update(self) -> None:
        """Of the amount, or of the group too: both images come with it."""
        id_ = self.chance.choice([*self.rows])
        old, new = self.rows[id_], self.row(id_)
        if self.chance.random() < 0.5:
            new |= {"shop": old["shop"], "placed": old["placed"]}
        self.rows[id_] = new
        self.send("u", old, new)

    def delete(self) -> None:
        self.send("d", self.rows.pop(self.chance.choice([*self.rows])), None)

    def anything(self) -> None:
        does = self.chance.random()
        (self.insert if does < 0.5 or len(self.rows) < 3 else self.update if does < 0.8 else self.delete)()

    def send(self, op: str, before: Row | None, after: Row | None, **source: Any) -> None:
        id_ = (after or before or {})["id"]
        self.lsn += 1
        place = {"lsn": self.lsn, "txId": self.lsn, "sequence": f'["{self.lsn}","{self.lsn}"]', "ts_ms": 0, **source}
        value = {"op": op, "before": before, "after": after, "source": place, "ts_ms": 0}
        partition = self.places.setdefault(id_, id_ % self.partitions)
        self.producer.produce(self.table.topic, json.dumps(value).encode(), json.dumps({"id": id_}), partition)
        self.producer.flush()

    def add_partition(self) -> None:
        """New rows come to it from here on, as where someone runs kafka-topics --alter."""
        client = AdminClient(self.bus)  # it must live until its answer is there
        made = client.create_partitions([NewPartitions(self.table.topic, self.partitions + 1)])
        made[self.table.topic].result(30)
        self.partitions += 1
        self.producer = Producer({**self.bus, "linger.ms": 1, "acks": "all"})  # the old one knows the old number

    @contextmanager
    def open_transaction(self, commits: bool) -> Iterator[None]:
        """What is sent in the block becomes visible in its end, or never; what others send goes on before."""
        name, usual, rows = f"test-{self.name}-{self.lsn}", self.producer, dict(self.rows)
        self.producer = Producer({**self.bus, "transactional.id": name})
        self.producer.init_transactions(30)
        self.producer.begin_transaction()
        try:
            yield
            self.producer.commit_transaction(30) if commits else self.producer.abort_transaction(30)
        finally:
            self.producer = usual
        if not commits:
            self.rows = rows

    def plain(self, query: str) -> list[tuple[Any, ...]]:
        """What the query gives over the rows as they are now."""
        kinds = {"id": pa.int64(), "shop": pa.int64(), "kind": pa.string(), "amount": pa.decimal128(10, 2),
                 "placed": pa.timestamp("us", "UTC")}  # fmt: skip
        columns = {n: [r[n] for r in self.rows.values()] for n in kinds}
        columns["amount"] = [None if a is None else Decimal(a) for a in columns["amount"]]
        columns["placed"] = [datetime.fromisoformat(a) for a in columns["placed"]]
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register(self.name, pa.table({n: pa.array(v).cast(kinds[n]) for n, v in columns.items()}))
            return sorted(connection.execute(query).fetchall(), key=repr)


def shown(project: Project, view: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """What a reader sees of a live view."""
    with connect(project, "reader") as connection:
        return sorted(connection.execute(f"SELECT {columns} FROM live.{view}").fetchall(), key=repr)  # type: ignore[arg-type]


@contextmanager
def polled(project: Project, query: str) -> Iterator[list[Any]]:
    """Asks the query again and again while the block runs; yields the list of its first values."""
    found: list[Any] = []
    with asked(project, query, lambda: None) as answers:
        yield found
    found += [rows[0][0] if rows else None for _, rows in answers]


@pytest.fixture(scope="module")
def live_project(
    shared: Callable[..., Project], make_project: Callable[..., Project]
) -> Iterator[Callable[..., Project]]:
    """live_project(files): a project on real servers, its topics made and its landing worker running."""
    with workers() as work:

        def make(files: dict[str, str], **settings: Any) -> Project:
            base = shared("bus", "postgres", "spark", "flink")
            project = make_project(files, on=base, chunk_seconds=1, **settings)
            topics.ensure(project)
            work(project)
            return project

        yield make


def write_job(project: Project, name: str, text: str) -> Project:
    (project.root / "jobs" / "batch" / f"{name}.sql").write_text(text)
    return load(project.root)
