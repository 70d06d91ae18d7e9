"""Schema changes as the landing worker sees them, row by row, with a database that answers what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.decode import Decoder
from headrace.ingest.drift import differences
from headrace.ingest.evolve import MOST, Watch
from headrace.ingest.source_columns import Asked, Declared, declare
from headrace.lake.rows import BROKEN
from headrace.project import Column, Table
from headrace.project.observed import Observed, unfilled

ROW = {"id": 7, "guest": "Ada", "paid": "12.50", "left_at": "2026-01-01T00:00:00Z"}
TIP = Declared(Column("tip", "number", precision=8, scale=2), filled=True)


class Source:
    """A table whose columns change: what it sends is decoded, what it declares is asked for."""

    def __init__(self, table: Table, record: Callable[..., Any], mode: str, kind: str) -> None:
        contract = replace(table.contract, event_id="", schema_change=mode)
        self.table, self.record = replace(table, contract=contract), record
        self.declared: dict[str, Declared] | None = {}
        self.position = 0
        self.mode = {"events": "events"}.get(kind, "cdc")
        self.watch = Watch(self.table, self.mode, types=lambda: self.declared)
        self.decoder = Decoder(self.table, kind, self.mode, self.watch)
        self.landed, self.rejected = Landed(), Rejected()

    def send(
        self, after: dict[str, Any], op: str = "c", before: object = None, position: int = 0, snapshot: str = "false"
    ) -> None:
        self.position = position or self.position + 1
        source = {"lsn": self.position, "ts_ms": 1, "snapshot": snapshot, "sequence": f'["{self.position}", "1"]'}
        value = {"op": op, "before": before, "after": after, "source": source} if self.mode == "cdc" else after
        message = self.record(value, at=self.position, head=[("headrace-epoch", b"17")])
        self.decoder.decode([message], self.landed, self.rejected)

    @property
    def after(self) -> list[dict[str, Any] | None]:
        return [None if text is None else json.loads(text) for text in self.landed.after]

    @property
    def reasons(self) -> list[tuple[str, str | None]]:
        return [(row["reason"], row["column"]) for row in self.rejected.rows]

    @property
    def columns(self) -> dict[str, str]:
        return {c.name: c.spark for c in self.watch.contract.columns if c.name not in self.table.contract.names}


@pytest.fixture
def source(visits, record) -> Callable[..., Source]:
    return lambda mode="evolve", kind="postgresql": Source(visits, record, mode, kind)


def test_columns_of_the_beginning_that_the_contract_leaves_out_stay_out(source) -> None:
    shop = source()
    shop.send(ROW | {"secret": "x"})
    assert shop.columns == {}
    assert shop.watch.observed.columns == (*ROW, "secret")
    assert shop.after == [ROW | {"secret": "x"}]


def test_a_new_column_has_the_type_of_the_source_and_is_on_record_with_its_position(source) -> None:
    shop = source()
    shop.send(ROW)
    shop.watch.changed = False
    shop.declared = {"tip": TIP}
    shop.send(ROW | {"tip": "5.00"})
    assert shop.watch.changed
    assert shop.columns == {"tip": "DECIMAL(8,2)"}
    found = shop.watch.observed.added["tip"]
    assert (found.since, found.epoch, found.filled) == ("shop.visits/1/2", 17, True)
    assert unfilled(shop.table.contract, shop.watch.observed, 17) == ("tip",)
    assert shop.reasons == []
    assert Observed.from_json(json.loads(json.dumps(shop.watch.observed.to_json()))) == shop.watch.observed


@pytest.mark.parametrize(
    ("value", "type_"),
    [(1, "BIGINT"), (1.5, "DOUBLE"), (True, "BOOLEAN"), ("5.00", "STRING"), ({"a": 1}, "STRING"), (None, "STRING")],
)
def test_without_the_source_the_type_is_that_of_the_value_in_json(source, value: object, type_: str) -> None:
    shop = source()
    shop.declared = None
    shop.send(ROW)
    shop.send(ROW | {"tip": value})
    assert shop.columns == {"tip": type_}
    assert shop.watch.observed.added["tip"].filled, "nobody can say that older rows have no value"


def test_a_value_that_a_new_column_does_not_take_makes_it_wider_and_is_landed(source) -> None:
    shop = source()
    shop.declared = None
    shop.send(ROW)
    for value, type_ in ((1, "BIGINT"), (None, "BIGINT"), (1.5, "DOUBLE"), ("many", "STRING"), ([1], "STRING")):
        shop.send(ROW | {"tip": value}, "u", before=ROW | {"tip": value})
        assert shop.columns == {"tip": type_}
        assert shop.landed.before[-1] is not None
    assert shop.reasons == []
    assert [row["tip"] for row in shop.after[1:]] == [1, None, 1.5, "many", [1]]


def test_a_new_name_for_a_column_has_values_in_older_rows(source) -> None:
    shop = source()
    shop.send(ROW | {"note": None})
    shop.declared = {"remark": Declared(Column("remark", "string"), filled=False)}
    renamed = ROW | {"remark": "x"}
    shop.send(renamed)
    assert shop.watch.observed.added["remark"].filled
    assert shop.watch.observed.columns == tuple(renamed)


def test_a_column_that_may_be_null_costs_no_snapshot_and_one_that_a_snapshot_brought_neither(source) -> None:
    shop = source()
    shop.send(ROW)
    shop.declared = {"note": Declared(Column("note", "string"), filled=False), "tip": TIP}
    shop.send(ROW | {"note": None})
    shop.send(ROW | {"note": None, "tip": "1.00"}, op="r")
    assert unfilled(shop.table.contract, shop.watch.observed, 0) == ()


def test_a_column_that_comes_while_a_table_is_taken_again_in_chunks_needs_a_snapshot(source) -> None:
    shop = source()
    shop.declared = {"tip": TIP}
    shop.send(ROW, op="r", snapshot="incremental")  # of a chunk that was read before the column came
    shop.send(ROW | {"id": 8, "tip": "5.00"}, op="r", snapshot="incremental")
    assert shop.columns == {"tip": "DECIMAL(8,2)"}
    assert unfilled(shop.table.contract, shop.watch.observed, 17) == ("tip",), "nothing told of it for the first row"


def test_a_late_row_of_another_partition_is_no_change_back(source) -> None:
    shop = source()
    shop.declared = {"tip": TIP}
    shop.send(ROW, position=10)
    shop.send(ROW | {"tip": "1.00"}, position=20)
    seen = shop.watch.observed
    shop.send(ROW, position=15)
    shop.send(ROW | {"tip": "1.00"}, position=21)
    assert shop.watch.observed == seen


def test_a_column_that_went_and_came_again_is_new_again(source) -> None:
    shop = source()
    shop.declared = {"tip": TIP}
    shop.send(ROW)
    shop.send(ROW | {"tip": "1.00"})
    shop.send(ROW)
    shop.watch.take(replace(shop.watch.observed, added={"tip": replace(shop.watch.observed.added["tip"], epoch=3)}))
    assert unfilled(shop.table.contract, shop.watch.observed, 17) == ()
    shop.send(ROW | {"tip": "2.00"})
    assert unfilled(shop.table.contract, shop.watch.observed, 17) == ("tip",)


def test_a_decimal_follows_the_source_and_nothing_else(source) -> None:
    shop = source()
    shop.send(ROW)
    shop.send(ROW | {"paid": "123456.789"})
    assert shop.after == [ROW, None]
    shop.declared = {"paid": Declared(Column("paid", "number", precision=9, scale=3), False)}
    shop.send(ROW | {"paid": "123456.789"}, "u", before=ROW)
    assert shop.watch.contract.columns[2].spark == "DECIMAL(9,3)"
    assert shop.after[-1] == ROW | {"paid": "123456.789"}
    shop.send(ROW | {"paid": "1234567.1"})
    assert shop.after[-1] is None
    assert [column for _, column in shop.reasons] == ["paid", "paid"]


def test_a_changed_type_of_a_contracts_column_is_a_broken_row(source) -> None:
    shop = source()
    shop.declared = {"id": Declared(Column("id", "string"), True), "share": Declared(Column("share", "string"), False)}
    shop.send(ROW | {"share": "a lot"})
    assert (shop.after, shop.reasons[0][1]) == ([None], "share")


def test_freeze_puts_rows_with_other_columns_into_quarantine(source) -> None:
    shop = source("freeze")
    shop.send(ROW)
    shop.send(ROW | {"tip": 1}, "u", before=ROW | {"tip": 0})
    shop.send({name: value for name, value in ROW.items() if name != "paid"}, "u", before=ROW)
    assert shop.after == [ROW, None, {k: v for k, v in ROW.items() if k != "paid"}]
    assert shop.landed.before[1] == BROKEN
    assert shop.reasons == [("a column that is not in the contract, which says schemaChange: freeze", "tip")]
    assert "tip" in shop.watch.observed.added


def test_discard_column_keeps_the_value_in_the_landing_row_only(source) -> None:
    shop = source("discard_column")
    shop.send(ROW)
    shop.send(ROW | {"tip": 1})
    assert (shop.after[1], shop.columns, shop.reasons) == (ROW | {"tip": 1}, {}, [])


def test_a_required_column_that_is_gone_is_quarantined_in_every_mode(source) -> None:
    for mode in ("evolve", "freeze", "discard_column"):
        shop = source(mode)
        shop.send(ROW)
        shop.send({name: value for name, value in ROW.items() if name != "guest"})
        assert shop.reasons == [("missing", "guest")]


def test_events_may_leave_fields_out_and_send_new_ones(source) -> None:
    web = source(kind="events")
    for extra in ({}, {"a": 1}, {}, {"b": True}, {"a": 2, "b": False}):
        web.send(ROW | extra)
    assert web.columns == {"a": "BIGINT", "b": "BOOLEAN"}
    assert not any(a.filled for a in web.watch.observed.added.values())
    for number in range(2 * MOST):
        web.send(ROW | {f"n{number}": 1})
    assert len(web.watch.observed.added) == MOST
    assert web.reasons == []


def test_an_event_that_is_rejected_says_nothing_about_columns(source) -> None:
    web = source(kind="events")
    web.send(ROW)
    web.send({"nonsense": 1})
    assert (web.columns, len(web.reasons)) == ({}, 1)


def test_a_database_that_does_not_answer_is_not_asked_again_at_once(visits, monkeypatch) -> None:
    asked = []

    def away(*of: object) -> None:
        asked.append(of)
        raise HeadraceError("source 'shop' can't be reached")

    monkeypatch.setattr("headrace.ingest.source_columns.declared", away)
    ask = Asked(None, None, visits)  # type: ignore[arg-type]
    assert [ask(), ask(), ask()] == [None, None, None]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("row", "type_", "filled"),
    [
        (("a", "numeric", "numeric", 12, 4, "YES", None, False), "DECIMAL(12,4)", False),
        (("a", "numeric", "numeric", None, None, "YES", None, False), "STRING", False),
        (("a", "decimal", "decimal(65,30)", 65, 30, "YES", "NULL", 0), "STRING", False),
        (("a", "int8", "int8", 64, 0, "NO", None, False), "BIGINT", True),
        (("a", "bigint", "bigint(20)", 19, 0, "YES", "5", 0), "BIGINT", True),
        (("a", "int", "int(11)", 10, 0, "YES", None, 1), "BIGINT", True),
        (("a", "tinyint", "tinyint(1)", 3, 0, "YES", "NULL", 0), "BIGINT", False),
        (("a", "timestamptz", "timestamptz", None, None, "YES", None, False), "TIMESTAMP", False),
        (("a", "_int4", "_int4", None, None, "YES", None, False), "STRING", False),
        (("a", "mood", "mood", None, None, "YES", None, False), "STRING", False),
    ],
)
def test_what_a_database_says_of_a_column(row: tuple[Any, ...], type_: str, filled: bool) -> None:
    found = declare(*row)
    assert (found.column.spark, found.filled) == (type_, filled)


def test_differences_come_with_the_line_for_the_contract(source) -> None:
    shop = source()
    shop.send(ROW | {"share": 1.0, "regular": 1, "day": None, "extra": None})
    assert list(differences(shop.table.contract, shop.watch.observed)) == []
    shop.declared = {"tip": TIP, "paid": Declared(Column("paid", "number", precision=9, scale=3), False)}
    shop.send(ROW | {"tip": "1.00", "regular": 1, "day": None, "extra": None, "paid": "123456.789"})
    rows = {row["column"]: row for row in differences(shop.table.contract, shop.watch.observed)}
    assert {name: row["change"] for name, row in rows.items()} == {
        "tip": "new column",
        "share": "no longer there",
        "paid": "wider type",
    }
    assert rows["tip"]["since"].startswith("shop.visits/1/2 2026-01-01T00:00:00")
    assert rows["tip"]["contract"] == "- {name: tip, logicalType: number, physicalType: 'decimal(8,2)'}"
    assert rows["paid"]["contract"].endswith("'decimal(9,3)'}")
    known = {c.name: Declared(c, False) for c in shop.table.contract.columns} | {
        "guest": Declared(Column("guest", "integer"), False)
    }
    (row,) = differences(shop.table.contract, Observed(), known)
    assert (row["column"], row["change"]) == ("guest", "other type")
