"""The record of observed columns, and contracts together with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from headrace.batch import shape
from headrace.errors import Place
from headrace.lake import landing, observed, paths
from headrace.project import Column, Contract, load
from headrace.project.observed import TAKEN, Added, Observed, evolved, join, merged, unfilled

PLACE = Place(Path("schemas/x.yaml"))
ID, PAID = Column("id", "integer", True, True), Column("paid", "number", precision=10, scale=2)


def contract(mode: str = "evolve", *columns: Column) -> Contract:
    return Contract("t", "1", (ID, PAID, *columns), PLACE, schema_change=mode)


def added(name: str, logical: str = "string", precision: int = 0, scale: int = 0, **more: object) -> Added:
    values: dict[str, object] = {"since": "t/0/5", "at": "2026-01-01T00:00:00+00:00", "epoch": 1} | more
    return Added(Column(name, logical, precision=precision, scale=scale), **values)  # type: ignore[arg-type]


SEEN = Observed(
    ("id", "paid", "tip"),
    (1, "005"),
    {"tip": added("tip", "number", 8, 2, filled=True)},
    {"paid": Column("paid", "number", precision=14, scale=4)},
)


def test_evolve_shows_new_columns_and_wider_decimals_and_the_other_modes_do_not() -> None:
    columns = {c.name: c.spark for c in evolved(contract(), SEEN).columns}
    assert columns == {"id": "BIGINT", "paid": "DECIMAL(14,4)", "tip": "DECIMAL(8,2)"}
    for mode in ("freeze", "discard_column"):
        assert evolved(contract(mode), SEEN) == contract(mode)


def test_what_the_contract_names_is_the_contracts() -> None:
    named = contract("evolve", Column("Tip", "string"))
    assert [(c.name, c.logical) for c in evolved(named, SEEN).columns][2:] == [("Tip", "string")]


def test_names_that_can_name_no_column_are_left_in_the_landing_rows() -> None:
    odd = {n: added(n) for n in ("unit price", "op", "_deleted", "ID", "a", "A", "1st")}
    assert evolved(contract(), Observed(added=odd)).names == ("id", "paid", "A")


def test_the_names_of_the_lakes_own_columns_are_taken() -> None:
    assert {m.split()[0] for m in shape.METADATA} | set(shape.OWN) | {"valid_from", "valid_to"} == TAKEN


def test_a_snapshot_is_wanted_for_columns_that_count_and_only_until_it_began() -> None:
    assert unfilled(contract(), SEEN, 1) == ("tip",)
    assert unfilled(contract(), SEEN, 2) == ()
    assert unfilled(contract("discard_column"), SEEN, 1) == ()
    assert unfilled(contract("freeze", Column("tip", "number")), SEEN, 1) == ("tip",)
    assert unfilled(contract(), Observed(added={"tip": added("tip")}), 1) == ()


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (("integer", 0, 0), ("integer", 0, 0), ("integer", 0, 0)),
        (("integer", 0, 0), ("number", 0, 0), ("number", 0, 0)),
        (("integer", 0, 0), ("number", 10, 2), ("number", 21, 2)),
        (("number", 10, 2), ("number", 8, 4), ("number", 12, 4)),
        (("number", 38, 2), ("number", 38, 4), ("string", 0, 0)),
        (("number", 10, 2), ("number", 0, 0), ("string", 0, 0)),
        (("date", 0, 0), ("timestamp", 0, 0), ("string", 0, 0)),
        (("object", 0, 0), ("array", 0, 0), ("string", 0, 0)),
    ],
)
def test_a_type_that_holds_both(one: tuple, other: tuple, both: tuple) -> None:
    for a, b in ((one, other), (other, one)):
        found = join(Column("x", a[0], False, False, *a[1:]), Column("y", b[0], False, False, *b[1:]))
        assert (found.logical, found.precision, found.scale) == both


def test_two_workers_records_become_one_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "headrace.yml").write_text("name: observed\n")
    project = load(tmp_path)
    other = Observed(("id", "paid"), (1, "003"), {"tip": added("tip", "integer"), "note": added("note")})
    assert merged(SEEN, other) == merged(other, SEEN)
    first = landing.open_landing(project, "t", "topic", 1)
    second = landing.open_landing(project, "t", "topic", 1)
    assert observed.find(project, "t") == Observed()
    observed.record(first, SEEN)
    both = observed.record(second, other)  # a handle that does not know of the first
    assert both == observed.find(project, "t") == merged(SEEN, other)
    assert both.columns == ("id", "paid", "tip")
    assert both.added["tip"].column.spark == "DECIMAL(21,2)"
    version = DeltaTable(paths.landing(project, "t")).version()
    observed.record(first, SEEN)
    assert DeltaTable(paths.landing(project, "t")).version() == version, "nothing new writes nothing"
    assert observed.find(project, "never landed") == Observed()
