"""When a snapshot is complete: from records as connectors write them, without a bus."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.ingest import bus, controls, epochs, headers, markers, resync, topics
from headrace.ingest.positions import positioner
from headrace.lake import landing
from headrace.lake.arrivals import look

FILE = "kind: postgresql\nconnection: {local: true}\ntables: {rooms: public.rooms, visits: public.visits}\n"


class Bus:
    """Topics as lists of records, decisions, and the markers that were written."""

    def __init__(self, record: Callable[..., Any]) -> None:
        self.record = record
        self.topics: dict[str, list[Any]] = {}
        self.decided: dict[tuple[str, ...], Any] = {}
        self.said: list[tuple[list[str], int, str]] = []

    def send(self, topic: str, value: dict[str, Any], epoch: int = 0) -> None:
        head = [(headers.EPOCH, str(epoch).encode())]
        self.topics.setdefault(topic, []).append(self.record(value, head=head))

    def mark(self, op: str, lsn: int, epoch: int, **after: str) -> None:
        """A row of the marker table, from a snapshot (r) or from the stream."""
        source = {"lsn": lsn, "snapshot": "true"} if op == "r" else {"lsn": lsn, "sequence": json.dumps([None, "5"])}
        self.send("house.public.headrace_marker", {"op": op, "source": source, "after": after}, epoch)

    def write(self, project: Any, changes: dict[tuple[str, ...], Any]) -> None:
        self.decided |= changes


@pytest.fixture
def wire(record, monkeypatch) -> Bus:
    made = Bus(record)
    monkeypatch.setattr(bus, "read_to_end", lambda project, topic: made.topics.get(topic, []))
    monkeypatch.setattr(controls, "read", lambda project: dict(made.decided))
    monkeypatch.setattr(controls, "write", made.write)
    monkeypatch.setattr(markers, "complete", lambda project, names, *at: made.said.append((names, *at)))
    return made


@pytest.fixture
def house(tmp_path):
    from headrace.project import load

    column = "{name: id, logicalType: integer, primaryKey: true}"
    files = {"headrace.yml": "name: house\n", "lake/sources/house.yml": FILE}
    for table in ("rooms", "visits"):
        files[f"schemas/{table}.yaml"] = f"version: 1.0.0\nschema:\n  - name: {table}\n    properties: [{column}]\n"
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return load(tmp_path)


def test_a_source_is_complete_when_its_marker_table_streams_at_the_last_snapshots_position(house, wire):
    source = house.source("house")
    epoch = epochs.begin(house, source)
    wire.mark("r", 3, epoch - 1)
    wire.mark("u", 4, epoch - 1)  # the epoch before this one was complete: that says nothing
    wire.mark("r", 10, epoch)  # this snapshot was killed, and begun again
    assert [one.table for one in epochs.settle(house, wire.decided)] == [""]
    assert "is not complete" in epochs.note(house, wire.decided, house.table("visits"))
    wire.mark("r", 20, epoch)
    assert epochs.settle(house, wire.decided)
    wire.mark("u", 25, epoch)
    wire.mark("u", 30, epoch)
    assert epochs.settle(house, wire.decided) == []
    assert wire.said == [(["house.public.rooms", "house.public.visits"], epoch, f"{0:020d}/{20:020d}")]
    assert epochs.settle(house, wire.decided) == []
    assert len(wire.said) == 1
    assert epochs.note(house, wire.decided, house.table("visits")) == ""
    assert epochs.begun(wire.decided, source) == 0
    assert epochs.begin(house, source, epoch) > epoch


def test_a_snapshot_that_did_not_come_with_its_slot_is_taken_anew(house, wire):
    """Between its first query and its reading of the log's end something may have been committed that nobody brings."""
    source = house.source("house")
    epoch = epochs.begin(house, source)
    wire.mark("r", 0x1_0000_0010, epoch, name="slot", marker="1/10")
    wire.mark("r", 0x1_0000_0020, epoch, name="slot", marker="1/10")  # it was killed, and begun again with this slot
    wire.mark("u", 0x1_0000_0030, epoch)
    for _ in range(2):  # the second is one that had read the old decision
        (left,) = epochs.settle(house, {("epoch", "house"): {"epoch": epoch, "since": 0}})
        assert (left.table, left.epoch) == ("", epoch + 1)
    assert wire.said == []
    assert epochs.begun(wire.decided, source) == epoch + 1
    wire.mark("r", 0x1_0000_0040, epoch + 1, name="slot", marker="1/40")
    wire.mark("u", 0x1_0000_0050, epoch + 1)
    assert epochs.settle(house, wire.decided) == []
    assert [(at, position) for _, at, position in wire.said] == [(epoch + 1, f"{0:020d}/{0x1_0000_0040:020d}")]


def test_a_table_is_complete_at_the_position_of_the_row_that_asked_for_it(house, wire):
    source, table = house.part("house.visits")
    asked = epochs.ask(house, source, table, wire.decided)
    assert epochs.ask(house, source, table, wire.decided) == asked, "it is asked for once"
    with pytest.raises(HeadraceError, match="table visits is not complete yet"):
        epochs.ask(house, source, house.table("rooms"), wire.decided)
    row = {"op": "c", "after": {"id": asked.id}, "source": {"lsn": 70, "sequence": '["60", "70"]'}}
    wire.send(topics.signal_topic(house, source), row, 9)
    said = {"id": asked.id, "type": "IN_PROGRESS", "additional_data": {}}
    wire.send("headrace.notifications.house", said)
    wire.send("headrace.notifications.house", {"id": "another", "type": "TABLE_SCAN_COMPLETED"})
    assert epochs.settle(house, wire.decided) == [asked]
    assert epochs.note(house, wire.decided, house.table("rooms")) == ""
    done = {"type": "TABLE_SCAN_COMPLETED", "additional_data": {"status": "EMPTY"}}
    wire.send("headrace.notifications.house", said | done)
    assert epochs.settle(house, wire.decided) == []
    assert wire.said == [(["house.public.visits"], 9, "00000000000000000070/00000000000000000070")]
    assert epochs.ask(house, source, table, wire.decided).id != asked.id


def test_a_table_that_can_not_be_brought_says_why_until_the_whole_source_is(house, wire):
    source, table = house.part("house.visits")
    asked = epochs.ask(house, source, table, wire.decided)
    done = {"type": "TABLE_SCAN_COMPLETED", "additional_data": {"status": "NO_PRIMARY_KEY"}}
    wire.send("headrace.notifications.house", {"id": asked.id} | done)
    for _ in range(2):
        (left,) = epochs.settle(house, wire.decided)
        assert left.failed == "NO_PRIMARY_KEY"
    assert "failed: NO_PRIMARY_KEY" in epochs.note(house, wire.decided, table)
    assert wire.said == []
    epochs.begin(house, source)
    assert [one.table for one in epochs.unsettled(house, wire.decided)] == [""]


def test_the_end_of_a_snapshot_lands_as_a_floor_and_as_a_change(land, record, visits, tmp_path):
    head = [(headers.MARKER, b"quiet-1"), (headers.EPOCH, b"9"), (headers.FLOOR, b"0070/")]
    (row,), _ = land("postgresql", record({"op": "m"}, at=4, head=head))
    assert (row["op"], row["epoch"], row["position"], row["snapshot"]) == ("m", 9, "0070/", "complete")
    (row,), _ = land("events", record({"op": "m"}, at=4, head=head))
    assert (row["position"], row["snapshot"]) == ("", "false"), "services can't take rows of events away"

    from headrace.ingest.columns import Landed, Rejected
    from headrace.ingest.decode import Decoder
    from headrace.lake import rows

    handle = landing._open(str(tmp_path / "visits"), rows.LANDING, rows.STATISTICS, {})
    landed = Landed()
    decoder = Decoder(visits, "postgresql", "cdc")
    decoder.decode([record({"op": "m"}, at=4, head=head), record({"op": "m"}, at=5, head=head[:1])], landed, Rejected())
    data = landed.table("t", "1", datetime(2026, 1, 1, tzinfo=UTC))
    landing.append(handle, data, "id", {1: (0, 6)})
    assert handle.transaction_version("id:1:data") == 5, "views that read the table are due: rows may be gone"
    found = look(str(tmp_path / "visits"), {}, {1: 6})
    assert [(floor.order, floor.kind) for floor in found.floors] == [((9, "0070/"), "snapshot")]
    assert not found.data


def test_a_row_of_an_incremental_snapshot_lies_behind_what_its_chunk_had_seen():

    def position(lsn: int | None, sequence: str, snapshot: str = "false") -> str:
        source = {"lsn": lsn, "sequence": sequence, "snapshot": snapshot}
        return positioner("postgresql")({"op": "u" if snapshot == "false" else "r", "source": source})

    asked = position(100, '["120", "100"]')  # another commit came before its own
    seen = position(150, '["140", "150"]')  # committed at 160, before the window
    row = position(None, '["160", "160"]', "incremental")
    later = position(110, '["180", "110"]')  # was open all the time
    assert asked < seen < row < later
    with pytest.raises(ValueError, match="before any commit"):
        position(None, '[null, "160"]', "incremental")


def test_waiting_for_a_table_goes_on_when_its_source_begins_anew(house, wire, monkeypatch):
    source, table = house.part("house.visits")
    looks = [
        [epochs.Open("house", "visits", 0, 8, "x")],
        [epochs.Open("house", "", 0, 9), epochs.Open("other", "visits", 0, 9)],
        [epochs.Open("other", "visits", 0, 9)],
    ]
    monkeypatch.setattr(resync.epochs, "settle", lambda project, records: looks.pop(0))
    monkeypatch.setattr(resync.controls, "Watched", lambda project: SimpleNamespace(now=dict))
    monkeypatch.setattr(resync.database, "mark", lambda *given: None)
    monkeypatch.setattr(resync, "LOOK", 0.0)
    resync._until_complete(house, source, table, time.monotonic() + 60, 60)
    assert looks == []
