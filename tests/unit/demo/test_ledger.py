"""The ledger: whole lines, any bytes, two writers."""

from __future__ import annotations

from pathlib import Path

from demo.ledger import Ledger, read


def test_what_was_added_is_read_back_byte_for_byte(tmp_path: Path):
    path = tmp_path / "demo" / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.add("events.trips", 1, 7, "malformed", b"\xff\x00\n")
    assert list(read(path)) == [], "not written before `write`"
    ledger.write()
    line = {"topic": "events.trips", "partition": 1, "offset": 7, "kind": "malformed", "value": b"\xff\x00\n"}
    assert list(read(path)) == [line]


def test_two_writers_append(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    first, second = Ledger(path), Ledger(path)
    for offset in range(100):
        (first if offset % 2 else second).add("t", 0, offset, "event", b"x" * 500)
        first.write()
        second.write()
    first.close()
    second.close()
    assert [line["offset"] for line in read(path)] == list(range(100))


def test_no_ledger_is_an_empty_one(tmp_path: Path):
    assert list(read(tmp_path / "none.jsonl")) == []
