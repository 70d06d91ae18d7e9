"""One message at a time: what lands, what goes to quarantine, with which reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from headrace.ingest import headers
from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.decode import MAX_VALUE, Decoder, WrongTimestamp
from headrace.ingest.positions import positioner

ROW = {"id": 7, "guest": "Ada", "paid": "12.50", "left_at": "2026-01-01T00:00:00.123456Z"}
PG = {"lsn": 26656312, "txId": 771, "ts_ms": 1767225600000, "snapshot": "false"}
HEAD = [("headrace-epoch", b"17"), ("correlation-id", b"c1"), ("causation-id", b"c0")]


def change(op: str, before: object, after: object, **source: object) -> dict[str, object]:
    return {"op": op, "before": before, "after": after, "source": PG | source, "ts_ms": 1767225600100}


def test_a_change_lands_with_everything_a_cut_and_a_fold_need(land, record) -> None:
    (row,), bad = land("postgresql", record(change("u", ROW | {"paid": "1.00"}, ROW | {"new": [1]}), at=42, head=HEAD))
    assert bad == []
    assert json.loads(row.pop("before"))["paid"] == "1.00"
    assert json.loads(row.pop("after")) == ROW | {"new": [1]}  # a column the contract doesn't name is kept
    assert row == {
        "op": "u",
        "key": '{"id":7}',
        "event_time": datetime(2026, 1, 1, 0, 0, 0, 123456, UTC),
        "position": "00000000000026656312/00000000000026656312",
        "epoch": 17,
        "snapshot": "false",
        "topic": "shop.visits",
        "partition": 1,
        "offset": 42,
        "appended_at": datetime(2026, 1, 1, 0, 0, 0, 500000, UTC),
        "timestamp_type": "LogAppendTime",
        "event_id": "Ada",
        "transaction_id": "771",
        "correlation_id": "c1",
        "causation_id": "c0",
        "headers": '{"headrace-epoch":"17","correlation-id":"c1","causation-id":"c0"}',
        "landed_at": datetime(2026, 1, 2, tzinfo=UTC),
        "contract_version": "1.2.0",
        "landing_date": date(2026, 1, 2),
    }


def test_a_delete_lands_with_its_before_image_only(land, record) -> None:
    (row,), _ = land("postgresql", record(change("d", ROW, None)))
    assert (row["op"], row["key"], row["after"]) == ("d", '{"id":7}', None)
    assert json.loads(row["before"]) == ROW


def test_a_delete_without_before_image_is_known_by_its_message_key(land, record) -> None:
    (row,), bad = land("postgresql", record(change("d", None, None), name=b'{"id":7}'))
    assert (row["op"], row["key"], row["before"], bad) == ("d", '{"id":7}', None, [])
    rows, (gone,) = land("postgresql", record(change("d", None, None)))
    assert rows == []
    assert gone["column"] == "before"


def test_a_truncate_and_a_marker_land_without_images(land, record) -> None:
    marker = record({"op": "m", "marker": "x"}, head=[("headrace-marker", b"x")])
    rows, bad = land("postgresql", record(change("t", None, None)), marker)
    assert [(r["op"], r["key"], r["before"], r["after"]) for r in rows] == [
        ("t", None, None, None),
        ("m", None, None, None),
    ]
    assert bad == []


def test_snapshot_rows_say_so(land, record) -> None:
    (row,), _ = land("postgresql", record(change("r", None, ROW, snapshot="last")))
    assert (row["op"], row["snapshot"]) == ("r", "last")


@pytest.mark.parametrize(
    ("kind", "source", "position"),
    [
        ("postgresql", {"lsn": 5}, "00000000000000000005/00000000000000000005"),
        ("mariadb", {"file": "bin.000012", "pos": 345, "row": 3}, "0000000012/00000000000000000345"),
        ("jdbc", {"pull": 3, "row": 12}, "000000000003/000000000012"),
        ("files", {"pull": 10, "row": 1}, "000000000010/000000000001"),
    ],
)
def test_positions_sort_as_text(land, record, kind: str, source: dict[str, object], position: str) -> None:
    message = {"op": "u", "before": None, "after": ROW, "source": source}
    assert land(kind, record(message))[0][0]["position"] == position


def test_a_transaction_open_during_the_snapshot_comes_after_it() -> None:
    """Its change stands in the log before the snapshot's position, its commit after it."""

    def position(op: str, lsn: int, snapshot: str, passed: str) -> str:
        source = {"lsn": lsn, "snapshot": snapshot, "sequence": f'[{passed}, "{lsn}"]'}
        return positioner("postgresql")({"op": op, "source": source})

    snapshot = position("r", 100, "true", "null")
    again = position("r", 110, "last", "null")
    first = position("c", 80, "false", "null")
    late = position("c", 90, "false", '"120"')
    after = position("c", 130, "false", '"120"')
    assert snapshot < again < first < late < after


def test_a_change_is_no_snapshots_row_whatever_its_connector_says(land, record) -> None:
    """What PostgreSQL's connector streams after it was killed amid an incremental snapshot has `snapshot` "true"."""
    source = {"lsn": 130, "snapshot": "true", "sequence": '["120","130"]'}
    (row,), _ = land("postgresql", record({"op": "c", "before": None, "after": ROW, "source": source}))
    assert row["position"] == f"{130:020d}/{130:020d}"
    assert row["snapshot"] == "false"


def test_events_land_as_they_came(land, record) -> None:
    text = b'{ "id": 7, "guest": "Ada",  "share": 1.10 }'
    (row,), _ = land("events", record(text, at=9))
    assert row["after"] == text.decode()
    assert (row["op"], row["key"], row["event_id"], row["position"]) == (
        "c",
        '{"id":7}',
        "Ada",
        "000001/00000000000000000009",
    )
    assert row["event_time"] == row["appended_at"]  # the contract's column is empty


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"id": "7"}, "id"),
        ({"id": 2**63}, "id"),
        ({"id": True}, "id"),
        ({"guest": None}, "guest"),
        ({"guest": 5}, "guest"),
        ({"paid": 12.5}, "paid"),
        ({"paid": "12.505"}, "paid"),
        ({"paid": "12345.00"}, "paid"),
        ({"paid": "12,50"}, "paid"),
        ({"paid": "١"}, "paid"),
        ({"share": "much"}, "share"),
        ({"regular": "yes"}, "regular"),
        ({"regular": 2}, "regular"),
        ({"day": "2026-02-30"}, "day"),
        ({"day": "1.2.2026"}, "day"),
        ({"left_at": "2026-01-01 00:00:00"}, "left_at"),
        ({"left_at": "2026-01-01T25:00:00Z"}, "left_at"),
        ({"left_at": 1767225600}, "left_at"),
        ({"extra": 5}, "extra"),
    ],
)
def test_an_event_that_breaks_its_contract_is_quarantined_whole(land, record, changed: dict, column: str) -> None:
    rows, (bad,) = land("events", record(ROW | changed, name=b"k", at=3))
    assert rows == []
    assert (bad["column"], bad["offset"], bad["raw_key"]) == (column, 3, b"k")
    assert json.loads(bad["raw"]) == ROW | changed


@pytest.mark.parametrize(
    "changed",
    [
        {"paid": None},
        {"paid": 12},
        {"paid": "-9999.99"},
        {"paid": "0012.5000"},
        {"share": 3},
        {"regular": 1},
        {"regular": False},
        {"day": "2026-02-28Z"},
        {"left_at": "2026-01-01T00:00:00Z"},
        {"left_at": "2026-01-01T00:00:00.123456789Z"},
        {"extra": {"a": 1}},
        {"extra": '{"a": 1}'},
    ],
)
def test_values_that_keep_the_contract_land(land, record, changed: dict) -> None:
    rows, bad = land("events", record(ROW | changed))
    assert (len(rows), bad) == (1, [])


def test_validity_is_judged_per_image(land, record) -> None:
    """CORRECTNESS 7: an invalid image contributes nothing, the other image of the same change still counts."""
    wrong = ROW | {"paid": "much"}
    (row,), bad = land("postgresql", record(change("u", wrong, ROW)))
    assert (row["before"], json.loads(row["after"]), bad) == ("null", ROW, [])
    (row,), (rejected,) = land("postgresql", record(change("u", ROW, wrong)))
    assert (json.loads(row["before"]), row["after"], row["key"]) == (ROW, None, '{"id":7}')
    assert rejected["column"] == "paid"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{bad", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not a JSON object"),
        (None, "empty message"),
        (b'{"op":"x"}', "op is 'x'"),
        (b'{"op":"c","after":{"id":1,"guest":"A"}}', "`source` is missing"),
        (b'{"op":"c","after":{"id":1,"guest":"A"},"source":{}}', "no source position"),
        (b'{"op":"c","after":null,"source":{"lsn":1}}', "no row after it"),
        (b'{"op":"c","after":{"guest":"A"},"source":{"lsn":1}}', "missing"),
        (b'{"a":"' + b"x" * MAX_VALUE + b'"}', "oversize"),
    ],
)
def test_what_is_no_change_is_quarantined_with_its_bytes(land, record, raw: bytes | None, reason: str) -> None:
    rows, (bad,) = land("postgresql", record(raw))
    assert rows == []
    assert reason in bad["reason"]
    assert bad["raw"] == raw


@pytest.mark.parametrize("image", [{"id": 7, "guest": None}, {"guest": "Ada"}, {"id": None, "guest": None}])
@pytest.mark.parametrize("op", ["c", "u", "d", "r"])
def test_a_key_without_one_of_its_columns_is_rejected(visits, record, op: str, image: dict) -> None:
    columns = tuple(replace(c, key=c.name in ("id", "guest")) for c in visits.contract.columns)
    decoder = Decoder(replace(visits, contract=replace(visits.contract, columns=columns)), "postgresql", "cdc")
    landed, rejected = Landed(), Rejected()
    images = (image, None) if op == "d" else (None, image)
    decoder.decode([record(change(op, *images))], landed, rejected)
    (bad,) = rejected.table("1.2.0", datetime.now(UTC)).to_pylist()
    assert (len(landed), bad["reason"]) == (0, "missing")


def test_a_pulled_line_that_could_not_be_read_keeps_the_pulls_reason(land, record) -> None:
    _, (bad,) = land("files", record(b"3,y", head=[("headrace-error", b"line 4 of a.csv has 2 fields, not 4")]))
    assert bad["reason"] == "line 4 of a.csv has 2 fields, not 4"


def test_a_record_without_append_time_stops_the_table(land, record) -> None:
    with pytest.raises(WrongTimestamp):
        land("postgresql", record(change("c", None, ROW), kind=1))
    rows, (bad,) = land("postgresql", record(change("c", None, ROW), kind=1), strict=False)
    assert rows == []
    assert "append time" in bad["reason"]


def test_a_change_that_the_connector_sends_again_lands_once(visits, record) -> None:
    decoder, landed, rejected = Decoder(visits, "postgresql", "cdc"), Landed(), Rejected()
    first, other = change("c", None, ROW), change("u", ROW, ROW)
    decoder.decode(
        [record(first, at=5), record(first, at=6), record(other, at=7), record(first, at=8)], landed, rejected
    )
    assert (landed.offset, len(rejected)) == ([5, 7, 8], 0)
    replayed = record(other, at=9, head=[("headrace-origin", b"shop.visits/1/7/0"), ("headrace-first", b"7")])
    decoder.decode([record(other, at=9), replayed], landed, rejected)
    assert landed.offset == [5, 7, 8, 9, 9]


def test_rows_of_a_table_that_is_taken_again_all_land_and_hide_no_repeat(visits, record) -> None:
    decoder, landed, rejected = Decoder(visits, "postgresql", "cdc"), Landed(), Rejected()
    created = change("c", None, ROW)
    read = change("r", None, ROW, lsn=None, sequence='["60", "60"]', snapshot="incremental")
    complete = [(headers.MARKER, b"quiet-1"), (headers.EPOCH, b"9"), (headers.FLOOR, b"0050/")]
    sent = [record(created, at=5), record(read, at=6), record(read, at=7), record({}, at=8, head=complete)]
    decoder.decode([*sent, record(created, at=9)], landed, rejected)
    assert (landed.offset, landed.op, len(rejected)) == ([5, 6, 7, 8], ["c", "r", "r", "m"], 0)


def test_a_snapshot_may_repeat_what_it_sent(visits, record) -> None:
    decoder, landed = Decoder(visits, "postgresql", "cdc"), Landed()
    decoder.decode([record(change("r", None, ROW), at=5), record(change("r", None, ROW), at=6)], landed, Rejected())
    assert landed.offset == [5, 6]


def test_rows_that_no_table_can_hold_are_found_among_many(visits, record) -> None:
    """One such row must not hold up the others of its batch."""
    landed, rejected = Landed(), Rejected()
    huge = [("headrace-epoch", b"9" * 30)]
    far = {"ts_ms": 2**62}
    messages = [record(change("c", None, {"id": n, "guest": "Ada"}), at=n) for n in range(1000)]
    messages[17] = record(change("c", None, ROW), at=17, head=huge)
    messages[400] = record(change("c", None, {"id": 9, "guest": "Ada"}, **far), at=400)
    Decoder(visits, "postgresql", "cdc").decode(messages, landed, rejected)
    with pytest.raises((ArithmeticError, ValueError)):
        landed.table("shop.visits", "1.2.0", datetime.now(UTC))
    assert {place for place, why in landed.unfit().items() if "can't be landed: " in why} == {(1, 17), (1, 400)}


def test_a_row_that_nobody_thought_of_is_kept_with_what_went_wrong(visits, record, monkeypatch) -> None:
    decoder = Decoder(visits, "postgresql", "cdc")
    monkeypatch.setattr(decoder, "_transaction", lambda source: {}[source["txId"]])
    landed, rejected = Landed(), Rejected()
    decoder.decode([record(change("c", None, ROW))], landed, rejected)
    assert len(landed) == 0
    assert rejected.rows[0]["reason"] == "can't be read: KeyError: 771"
