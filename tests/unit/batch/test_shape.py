"""The text of the SQL that folds landed rows: what holds of it without an engine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from headrace.batch import events, shape
from headrace.batch.current import fingerprint
from headrace.errors import Place
from headrace.lake.arrivals import Floor
from headrace.project import Column, Contract

COLUMNS = (
    Column("id", "integer", key=True),
    Column("it's `x`", "string"),
    Column("total", "number", precision=10, scale=2),
)


def contract(**changes: object) -> Contract:
    return Contract(**{"table": "t", "version": "1", "columns": COLUMNS, "place": Place(Path("t.yaml"))} | changes)  # type: ignore[arg-type]


def test_a_range_is_exact_per_partition() -> None:
    assert (
        shape.within({0: 5}, {0: 9, 1: 3})
        == "((partition = 0 AND offset >= 5 AND offset < 9) OR (partition = 1 AND offset < 3))"
    )
    assert shape.within({0: 9}, {0: 9}) == "false"
    assert shape.within({}, {}) == "false"


def test_names_and_texts_can_hold_anything() -> None:
    assert shape.name("a`b") == "`a``b`"
    assert shape.text("it's \\") == r"'it\'s \\'"
    assert r"`it\'s ``x``` STRING" in shape.changes(contract(), "/lake/t", {}, {0: 1})


def test_a_decimal_is_read_as_one_and_a_day_without_its_zone() -> None:
    assert shape.typed(COLUMNS[2], "v") == "v"
    assert "`total` DECIMAL(10,2)" in shape.changes(contract(), "/lake/t", {}, {0: 1})
    assert shape.typed(Column("d", "date"), "v") == "try_cast(trim(TRAILING 'Z' FROM v) AS DATE)"
    assert shape.typed(Column("b", "boolean"), "v") == "try_cast(v AS BOOLEAN)"


def test_only_a_floor_takes_rows_away() -> None:
    assert "NOT MATCHED BY SOURCE" not in shape.merge(contract(), "/c", "/l", {}, {0: 1}, None)
    floor = Floor(2, "0'7", datetime(2026, 1, 1, tzinfo=UTC), "truncate")
    merge = shape.merge(contract(), "/c", "/l", {}, {0: 1}, floor)
    gone = r"NOT t._deleted AND (t._epoch < 2 OR (t._epoch = 2 AND t._position < '0\'7'))"
    assert f"WHEN NOT MATCHED BY SOURCE AND {gone} THEN UPDATE SET t._deleted = true" in merge


def test_a_floor_survives_its_storage() -> None:
    floor = Floor(2, "7", datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC), "snapshot")
    assert Floor.from_json(floor.to_json()) == floor


def test_repeats_are_looked_for_one_horizon_back_and_no_further() -> None:
    merge = events.merge(
        contract(event_id="id", horizon=90.0), "/c", "/l", {0: 3}, {0: 5}, datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert (
        "_appended_at >= TIMESTAMP '2026-01-01T00:00:00+00:00' - make_dt_interval(0, 0, 0, CAST(90.0 AS DECIMAL(18,6)))"
        in merge
    )
    assert "ON t._appended_at >= TIMESTAMP '2026-01-01T00:00:00+00:00' AND t._partition = s._partition" in merge


def test_the_fingerprint_follows_what_the_table_depends_on() -> None:
    known = fingerprint(contract())
    assert fingerprint(contract(disorder=9.0)) == known
    assert fingerprint(contract(version="2")) != known
    assert fingerprint(contract(columns=COLUMNS[:2])) != known
    assert fingerprint(contract(event_id="id")) != fingerprint(contract(event_id="id", horizon=1.0))
