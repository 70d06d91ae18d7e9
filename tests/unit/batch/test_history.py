"""The text of the history view: what holds of it without an engine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from headrace.batch.current import Current
from headrace.batch.history import history
from headrace.errors import Place
from headrace.lake.arrivals import Floor
from headrace.project import Column, Contract, Table

COLUMNS = (Column("id", "integer", True, True), Column("it's `n`", "integer"), Column("valid_from", "date"))


def told(*floors: Floor, **changes: str) -> str:
    contract = Contract("t", "1", COLUMNS, Place(Path("t.yaml")), **changes)  # type: ignore[arg-type]
    table = Table("t", "shop", "public.t", "shop.public.t", contract, Place(Path("shop.yml")))
    return history(contract, Current(table, "/lake/t", 3, {0: 9}, floors), "/landing/t")


def floor(position: str, second: int, kind: str = "truncate", epoch: int = 1) -> Floor:
    return Floor(epoch, position, datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC), kind)


def test_without_floors_nothing_is_compared_with_them() -> None:
    text = told()
    assert "array(struct(" not in text
    assert "0 AS _passed" in text


def test_a_floor_never_counts_as_earlier_than_one_below_it() -> None:
    text = told(floor("9", 5), floor("2", 7))
    assert "struct(1L AS _epoch, '2' AS _position), struct(1L AS _epoch, '9' AS _position)" in text
    assert text.count("TIMESTAMP '2026-01-01T00:00:07+00:00', TIMESTAMP '2026-01-01T00:00:07+00:00'") == 2


def test_only_the_end_of_a_snapshot_of_its_epoch_leaves_a_row_there() -> None:
    text = told(floor("2", 1), floor("1", 2, "snapshot", 2))
    assert "get(CAST(array(NULL, 2L) AS ARRAY<BIGINT>), _passed - 1) <=> _epoch" in text


def test_a_column_of_the_contract_gives_way_to_the_views_own() -> None:
    text = told()
    assert "SELECT `id`, `it's ``n```, _from AS valid_from, _to AS valid_to FROM told" in text
    assert "<=> struct(`id`, `it's ``n```, `valid_from`)" in text, "it still tells states apart"


def test_an_event_has_no_end() -> None:
    text = told(event_id="id")
    assert "_event_time AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to" in text
    assert "/lake/t` VERSION AS OF 3" in text
