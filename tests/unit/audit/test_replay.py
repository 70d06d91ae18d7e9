"""Which rows a replay sends, in which order, and why it leaves the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.audit import replay
from headrace.ingest.decode import MAX_VALUE
from headrace.lake import landing, rows
from headrace.lake.letters import Letter
from headrace.project import Project, load

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPIC = "shop.public.visits"
FILES = {
    "headrace.yml": "name: replays\n",
    "schemas/visits.yaml": """apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
schema:
  - name: visits
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
""",
    "lake/sources/shop.yml": "kind: postgresql\nconnection: {local: true}\ntables: {visits: public.visits}\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(replay.bus, "partitions", lambda project: {TOPIC: 2})
    return load(tmp_path)


def letter(offset: int, id: Any = 1, lsn: int = 0, partition: int = 0, first: int | None = None) -> Letter:
    change = {"op": "u", "before": None, "after": {"id": id}, "source": {"lsn": lsn or offset}}
    raw = b" " * (MAX_VALUE + 1) if id == "big" else json.dumps(change).encode()
    origin = f"{TOPIC}/{partition}/{offset}/0"
    head = None if first is None else json.dumps({rows.ORIGIN: "x", rows.FIRST: str(first)})
    return Letter(
        "shop", "visits", TOPIC, partition, offset, NOW, "bad", None, NOW, head, origin, "open", raw, b"k"
    )  # fmt: skip


def choose(project: Project, *found: Letter, force: bool = False) -> tuple[list[int], dict[str, int]]:
    chosen, left = replay._choose(project, project.tables["visits"], list(found), force)
    return [verdict.message.offset() for verdict in chosen], {row["reason"]: row["rows"] for row in left}


def test_what_the_contract_still_rejects_is_left_unless_forced(project: Project) -> None:
    found = (letter(1), letter(2, "one"), letter(3, "two"), letter(4, "two"))
    assert choose(project, *found) == (
        [1],
        {"expected a 64-bit integer, got 'one'": 1, "expected a 64-bit integer, got 'two'": 2},
    )
    assert choose(project, *found, force=True) == ([1, 2, 3, 4], {})


def test_what_can_never_land_is_left_even_then(project: Project) -> None:
    sent, left = choose(project, letter(1, "big"), letter(2, partition=2), letter(3), force=True)
    assert sent == [3]
    assert [reason.split(":")[0] for reason in left] == ["oversize", "the topic has no partition 2 any more"]


def test_rows_are_sent_in_the_order_in_which_they_were_sent_first(project: Project) -> None:
    sent, _ = choose(project, letter(2, partition=1), letter(6), letter(20, first=5), letter(3))
    assert sent == [3, 20, 6, 2]


def test_a_row_that_would_undo_a_later_change_at_its_position_is_left(project: Project) -> None:
    lsn = f"{7:020d}/{7:020d}"
    row = {"op": "u", "key": '{"id":1}', "position": lsn, "epoch": 0, "partition": 0, "landing_date": NOW.date()}
    handle = landing.open_landing(project, "visits", "id", 2)
    later = pa.Table.from_pylist([row | {"offset": 9, "appended_at": NOW}], schema=rows.LANDING)
    landing.append(handle, later, "id", {0: (0, 10)})
    sent, left = choose(project, letter(8, lsn=7), letter(10, lsn=7), letter(11, lsn=11), force=True)
    assert sent == [10, 11]
    assert [reason.startswith("a later change") for reason in left] == [True]
