"""The cells of `make chaos`: every pair comes up, the same seed draws the same, the table says what happened."""

from __future__ import annotations

from itertools import combinations

from tests.chaos import cells, table


def pairs(chosen: list[cells.Cell]) -> set[tuple[object, ...]]:
    return {pair for cell in chosen for pair in combinations(enumerate(cell), 2)}


def test_every_pair_that_makes_sense_comes_up():
    chosen = cells.drawn(7)
    assert pairs(chosen) == pairs(cells.every())
    assert len(chosen) < len(cells.every()) / 3


def test_a_seed_draws_the_same_cells_and_fewer_are_the_first_of_more():
    assert cells.drawn(7, 6) == cells.drawn(7)[:6] != cells.drawn(8, 6)


def test_each_component_is_killed_and_each_fault_and_moment_is_there():
    there = set(cells.every())
    assert {c for c in cells.COMPONENTS if cells.Cell(c, "kill", "any") in there} == set(cells.COMPONENTS)
    assert {c.fault for c in there} == set(cells.FAULTS) and {c.moment for c in there} == set(cells.MOMENTS)


def test_the_table_has_the_longest_recovery_and_what_was_wrong():
    def result(component: str, fault: str, seconds: float, *wrong: str) -> dict[str, object]:
        return {"cell": [component, fault, "any"], "seconds": seconds, "wrong": list(wrong), "hit": True}

    said = table.markdown(
        [result("bus", "kill", 3.0), result("bus", "kill", 7.5), result("landing", "pause", 1.0, "payments: 1 lost")]
    )
    assert "| bus | 7.5 |" in said and "| landing |  | ✗ 1.0 |" in said
    assert (
        "3 cells, 1 not exact, in 0 the moment did not come" in said and "all other kills: p50 7.5 s, p99 7.5 s" in said
    )
