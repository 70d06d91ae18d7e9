"""Quarantined rows as messages again: what they carry, and what the decoder makes of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import Place
from headrace.ingest import headers
from headrace.ingest.again import Again, judge
from headrace.ingest.decode import MAX_VALUE
from headrace.lake.letters import Letter
from headrace.project import Source

ROW = {"id": 7, "guest": "Ada", "paid": "12.50"}
APPENDED = datetime(2026, 1, 1, 0, 0, 0, 500000, UTC)
CHANGE = {"op": "u", "before": ROW, "after": ROW | {"paid": "9.00"}, "source": {"lsn": 5}}


def letter(value: Any, offset: int = 42, head: dict[str, str | None] | None = None) -> Letter:
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return Letter(
        "shop", "visits", "shop.visits", 1, offset, APPENDED, "bad", None, APPENDED,
        None if head is None else json.dumps(head), f"shop.visits/1/{offset}/1767225600500", "open", raw, b"\xffkey",
    )  # fmt: skip


def source(kind: str = "postgresql") -> Source:
    return Source("shop", kind, (), Place(Path("lake/sources/shop.yml")))


def test_a_message_keeps_its_bytes_and_headers_and_names_its_origin() -> None:
    message = Again(letter(b"\xff", head={"headrace-epoch": "17", "trace": None, "name": "Zoë"}), landed=False)
    assert (message.value(), message.key(), message.partition(), message.topic()) == (
        b"\xff",
        b"\xffkey",
        1,
        "shop.visits",
    )
    assert dict(message.headers()) == {
        "headrace-epoch": b"17",
        "trace": None,
        "name": "Zoë".encode(),
        "headrace-origin": b"shop.visits/1/42/1767225600500",
        "headrace-first": b"42",
    }
    assert headers.parse(message.headers()).epoch == 17


def test_a_row_replayed_for_the_second_time_names_the_replay_and_the_first_place() -> None:
    once = dict(Again(letter(b"{}"), landed=True).headers())
    again = Again(letter(b"{}", 99, {name: value.decode() for name, value in once.items() if value}), landed=False)
    assert dict(again.headers()) == {
        "headrace-origin": b"shop.visits/1/99/1767225600500",
        "headrace-first": b"42",
        "headrace-landed": b"true",  # the first original still is
    }


def test_headers_of_others_by_our_names_are_not_believed() -> None:
    message = Again(letter(b"{}", head={"headrace-first": "soon", "headrace-landed": "true"}), landed=False)
    assert dict(message.headers()) == {
        "headrace-origin": b"shop.visits/1/42/1767225600500",
        "headrace-first": b"42",
    }


def test_before_counts_once_when_the_original_was_landed(land) -> None:
    (row,), bad = land("postgresql", Again(letter(CHANGE), landed=True))
    assert (row["before"], json.loads(row["after"])["paid"], bad) == (None, "9.00", [])
    (row,), _ = land("postgresql", Again(letter(CHANGE), landed=False))
    assert json.loads(row["before"]) == ROW


def test_a_replayed_delete_keeps_its_before_image(land) -> None:
    delete = CHANGE | {"op": "d", "after": None}
    (row,), _ = land("postgresql", Again(letter(delete), landed=True))
    assert (row["key"], json.loads(row["before"])) == ('{"id":7}', ROW)


def test_the_headers_mean_nothing_on_a_message_that_is_no_replay(land, record) -> None:
    head = [("headrace-landed", b"true"), ("headrace-first", b"3")]
    (row,), _ = land("postgresql", record(CHANGE, head=head))
    assert json.loads(row["before"]) == ROW
    (row,), _ = land("events", record(ROW, at=9, head=head))
    assert row["position"] == "000001/00000000000000000009"


def test_a_replayed_change_keeps_its_place_in_the_source(land) -> None:
    (first,), _ = land("postgresql", Again(letter(CHANGE, 42), landed=True))
    (again,), _ = land("postgresql", Again(letter(CHANGE, 99), landed=True))
    assert first["position"] == again["position"] == "00000000000000000005/00000000000000000005"


def test_a_replayed_event_stands_where_it_was_sent_first(land, record) -> None:
    head = [("headrace-origin", b"shop.visits/1/42/0"), ("headrace-first", b"42")]
    (replayed,), _ = land("events", record(ROW, at=99, head=head))
    (newer,), _ = land("events", record(ROW, at=43))
    assert replayed["position"] == "000001/00000000000000000042" < newer["position"]


@pytest.mark.parametrize(
    ("value", "reason", "column", "key"),
    [
        (CHANGE, "", None, '{"id":7}'),
        (CHANGE | {"after": ROW | {"paid": "dear"}}, "expected decimal(6,2)", "paid", '{"id":7}'),
        (b"{bad", "not JSON", None, None),
        (None, "empty message", None, None),
    ],
)
def test_verdicts(visits, value: Any, reason: str, column: str | None, key: str | None) -> None:
    (verdict,) = judge(visits, source(), [Again(letter(value, head={"headrace-epoch": "17"}), landed=False)])
    assert reason in verdict.reason
    assert bool(reason) == bool(verdict.reason)
    assert (verdict.column, verdict.key, verdict.oversize) == (column, key, False)
    assert verdict.epoch == (17 if key else 0)


def test_a_row_that_is_too_large_stays_so(visits) -> None:
    (verdict,) = judge(visits, source(), [Again(letter(b" " * (MAX_VALUE + 1)), landed=False)])
    assert verdict.oversize
    assert "oversize" in verdict.reason
