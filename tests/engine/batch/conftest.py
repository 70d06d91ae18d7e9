"""A project on Spark and PostgreSQL, and rows landed into it without a bus: tests say what arrived in which order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from headrace.lake import landing, rows
from headrace.lake.rows import BROKEN
from headrace.project import Project

START = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = "kind: {kind}\nconnection: {connection}\ntables: {{{tables}}}\n"


def contract(table: str, columns: str, **custom: str) -> str:
    """A contract from lines such as 'id integer key' or 'total decimal(10,2)'."""
    lines = [f"apiVersion: v3.0.2\nkind: DataContract\nid: {table}\nversion: 1.0.0"]
    lines += [f"schema:\n  - name: {table}\n    properties:"]
    for column in columns.split(";"):
        name, logical, *rest = column.split()
        physical = f", physicalType: '{logical}'" if logical.startswith("decimal") else ""
        logical = "number" if physical else logical
        lines.append(
            f"      - {{name: {name}, logicalType: {logical}{physical}{', primaryKey: true' if rest else ''}}}"
        )
    lines.append("customProperties:" if custom else "")
    lines += [f"  - {{property: {key}, value: {value}}}" for key, value in custom.items()]
    return "\n".join(lines) + "\n"


def project_files(contracts: dict[str, str], jobs: dict[str, str]) -> dict[str, str]:
    """Files of a project whose tables come from a database that nobody starts."""
    tables = ", ".join(f"{table}: {{from: public.{table}}}" for table in contracts)
    source = SOURCE.format(kind="postgresql", connection="{local: true}", tables=tables)
    return {"lake/sources/base.yml": source} | {f"schemas/{t}.yaml": text for t, text in contracts.items()} | jobs


@pytest.fixture(scope="module")
def ground(shared: Callable[..., Project]) -> Project:
    """Spark and PostgreSQL, shared by the session; a file between may have stopped them."""
    return shared("postgres", "spark")


@pytest.fixture(scope="session")
def land() -> Callable[..., None]:
    """land(project, table, changes): appends each change, a dict of landing columns, at its partition's next offset.

    Shorter than the columns: `at` is seconds after START for appended_at, `after`, `before` and `key` are dicts.
    """

    def append(project: Project, table: str, changes: Iterable[dict[str, Any]], partitions: int = 2) -> None:
        handle = landing.open_landing(project, table, "topic", partitions)
        starts = {p: landing.stored(handle, "topic", p) for p in range(partitions)}
        nexts, found = dict(starts), []
        for change in changes:
            partition = change.get("partition", 0)
            found.append(_row(table, change, partition, nexts[partition]))
            nexts[partition] += 1
        moves = {p: (starts[p], end) for p, end in nexts.items() if end > starts[p]}
        landing.append(handle, pa.Table.from_pylist(found, rows.LANDING), "topic", moves)

    return append


def _row(table: str, change: dict[str, Any], partition: int, offset: int) -> dict[str, Any]:
    appended = START + timedelta(seconds=change.get("at", 0))
    row = dict.fromkeys(rows.LANDING.names) | {
        "op": change["op"],
        "event_time": change.get("event_time", appended),
        "position": change.get("position", f"{offset:020d}"),
        "epoch": change.get("epoch", 1),
        "snapshot": change.get("snapshot", "false"),
        "topic": table,
        "partition": partition,
        "offset": offset,
        "appended_at": appended,
        "timestamp_type": "LogAppendTime",
        "event_id": change.get("event_id"),
        "headers": change.get("headers"),
        "transaction_id": change.get("transaction_id"),
        "landed_at": appended,
        "contract_version": "1.0.0",
        "landing_date": appended.date(),
    }
    return row | {
        image: BROKEN if change[image] == BROKEN else json.dumps(change[image])
        for image in ("key", "before", "after")
        if change.get(image) is not None
    }
