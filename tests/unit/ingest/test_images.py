"""Large values that PostgreSQL's log leaves out: never a placeholder, never NULL in their place."""

from __future__ import annotations

import json
from base64 import b64encode

from headrace.ingest.images import UNAVAILABLE

ROW = {"id": 7, "guest": "Ada", "paid": "12.50", "left_at": "2026-01-01T00:00:00Z"}
LONG = {"extra": json.dumps({"a": "x" * 9000})}


def update(before: object, after: object) -> dict[str, object]:
    return {"op": "u", "before": before, "after": after, "source": {"lsn": 1, "ts_ms": 1, "snapshot": "false"}}


def test_an_unchanged_value_is_taken_from_the_row_before(land, record) -> None:
    after = ROW | {"paid": "1.00", "extra": UNAVAILABLE}
    (row,), bad = land("postgresql", record(update(ROW | LONG, after)))
    assert bad == []
    assert json.loads(row["after"]) == ROW | {"paid": "1.00"} | LONG


def test_without_the_row_before_it_is_not_known_and_the_row_is_kept_in_quarantine(land, record) -> None:
    (row,), (bad,) = land("postgresql", record(update(None, ROW | {"extra": UNAVAILABLE})))
    assert (row["key"], row["after"]) == ('{"id":7}', None)
    assert bad["column"] == "extra"
    assert "REPLICA IDENTITY FULL" in bad["reason"]


def test_a_column_without_a_contract_holds_up_nothing(land, record) -> None:
    unknown = {"blob": b64encode(UNAVAILABLE.encode()).decode(), "tags": [UNAVAILABLE, UNAVAILABLE]}
    (row,), bad = land("postgresql", record(update(None, ROW | unknown)))
    assert bad == []
    assert json.loads(row["after"]) == ROW


def test_a_text_that_mentions_the_placeholder_is_a_text(land, record) -> None:
    (row,), bad = land("postgresql", record(update(None, ROW | {"guest": f"so it says {UNAVAILABLE}"})))
    assert bad == []
    assert json.loads(row["after"])["guest"].endswith(UNAVAILABLE)
