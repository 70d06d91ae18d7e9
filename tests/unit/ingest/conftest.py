"""Tables and messages made by hand: what the bus would hand over, without a bus."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import Place
from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.decode import LOG_APPEND_TIME, Decoder
from headrace.project import Column, Contract, Table

PLACE = Place(Path("schemas/x.yaml"))
APPENDED = 1_767_225_600_500  # 2026-01-01T00:00:00.5Z


@dataclass
class Record:
    """A record as confluent_kafka.Message shows it."""

    data: bytes | None
    at: int = 0
    head: list[tuple[str, bytes]] = field(default_factory=list)
    name: bytes | None = None
    kind: int = LOG_APPEND_TIME

    def value(self) -> bytes | None:
        return self.data

    def key(self) -> bytes | None:
        return self.name

    def headers(self) -> list[tuple[str, bytes]]:
        return self.head

    def timestamp(self) -> tuple[int, int]:
        return self.kind, APPENDED

    def topic(self) -> str:
        return "shop.visits"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return self.at


@pytest.fixture
def record() -> Callable[..., Record]:
    """record(value, …): dicts are sent as JSON, bytes as they are."""

    def make(value: object, **more: Any) -> Record:
        data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        return Record(data, **more)

    return make


@pytest.fixture
def visits() -> Table:
    """A table with a column of every kind that has rules of its own."""
    columns = (
        Column("id", "integer", required=True, key=True),
        Column("guest", "string", required=True),
        Column("paid", "number", precision=6, scale=2),
        Column("share", "number"),
        Column("regular", "boolean"),
        Column("day", "date"),
        Column("left_at", "timestamp"),
        Column("extra", "object"),
    )
    contract = Contract("visits", "1.2.0", columns, PLACE, event_time="left_at", event_id="guest")
    return Table("visits", "shop", "public.visits", "shop.visits", contract, PLACE)


@pytest.fixture
def land(visits: Table) -> Callable[..., tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """land(kind, *records): the landing rows and the quarantine rows that come out."""
    from datetime import UTC, datetime

    modes = {"events": "events", "files": "cron", "jdbc": "cron"}

    def run(kind: str, *records: Record, strict: bool = True) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        landed, rejected = Landed(), Rejected()
        Decoder(visits, kind, modes.get(kind, "cdc")).decode(records, landed, rejected, strict=strict)
        now = datetime(2026, 1, 2, tzinfo=UTC)
        return landed.table("shop.visits", "1.2.0", now).to_pylist(), rejected.table("1.2.0", now).to_pylist()

    return run
