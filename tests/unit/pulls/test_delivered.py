"""What a walk over a table finds changed, without a server: each walk is a list of rows in order of their tokens."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.project import Table
from headrace.pulls import delivered
from headrace.pulls.delivered import Delivered, Read, unlike
from headrace.pulls.pulled import Line, State

STEP = 1 << (64 - delivered.BITS)  # tokens of a bucket
Rows = dict[tuple[int, int], str | None]  # (token, id) → guest


class Topic:
    """The parts of one table as they lie on the bus: a step is taken up whole, or not at all."""

    def __init__(self, table: Table) -> None:
        self.table, self.state = table, State()
        self.records: list[tuple[str, bytes | None]] = []

    def pull(self, rows: Rows, stop: int = 1000) -> list[Line]:
        """The lines of the first `stop` steps of a pull."""
        walk = [Read(token, {"id": id_, "guest": guest}) for (token, id_), guest in sorted(rows.items())]
        steps = unlike(walk, self.table, Delivered(self.table.contract.key, self.records), self.state)
        found: list[Line] = []
        for lines, state in (step for step, _ in zip(steps, range(stop), strict=False)):
            found += lines
            self.state = State.from_json(state.to_json())
            self.records += state.parts.items()
        return found


@pytest.fixture
def topic(visits: Table) -> Topic:
    return Topic(visits)


def said(lines: list[Line]) -> list[tuple[Any, ...]]:
    return [(line.row["id"], None if line.gone else line.row["guest"]) for line in lines if isinstance(line.row, dict)]


def test_only_what_differs_is_sent(topic: Topic) -> None:
    rows: Rows = {(-STEP, 1): "A", (0, 2): "B", (5, 3): "C", (STEP, 4): "D"}
    assert said(topic.pull(rows)) == [(1, "A"), (2, "B"), (3, "C"), (4, "D")]
    assert topic.pull(rows) == []
    rows |= {(0, 2): "b", (7, 5): "E"}
    del rows[5, 3], rows[STEP, 4]
    assert said(topic.pull(rows)) == [(2, "b"), (5, "E"), (3, None), (4, None)]
    assert topic.pull(rows) == []
    rows[5, 3] = "C"  # as it was before it was gone
    assert said(topic.pull(rows)) == [(3, "C")]


def test_an_emptied_table_is_gone_row_by_row(topic: Topic) -> None:
    topic.pull({(n * STEP, n): "x" for n in range(-5, 5)})
    lines = topic.pull({})
    assert [line.gone for line in lines] == [True] * 10
    assert topic.pull({}) == []
    assert all(value is None for value in dict(topic.records).values())


def test_steps_and_parts_are_small_in_one_wide_partition_too(topic: Topic, monkeypatch) -> None:
    monkeypatch.setattr(delivered, "ROWS", 10)
    monkeypatch.setattr(delivered, "_PART", 4)
    rows: Rows = {(77, n): "x" for n in range(35)}
    assert len(topic.pull(rows, stop=2)) == 20  # killed there
    assert sorted(said(topic.pull(rows))) == [(n, "x") for n in range(20, 35)]
    rows[77, 34] = "y"
    before = len(topic.records)
    assert said(topic.pull(rows)) == [(34, "y")]
    assert [name for name, _ in topic.records[before:]] == ["2048/8"]
    assert len(topic.pull({})) == 35
    assert topic.pull({}) == []


@pytest.mark.parametrize("seed", range(5))
def test_any_history_ends_with_what_was_read_last(topic: Topic, monkeypatch, seed: int) -> None:
    """Pulls that are killed between steps, rows that come, change, go and come again: a fold of the lines is exact."""
    monkeypatch.setattr(delivered, "ROWS", 7)
    monkeypatch.setattr(delivered, "_PART", 5)
    random, rows, seen, positions = Random(seed), {}, {}, [(0, 0)]
    for turn in range(60):
        for _ in range(random.randrange(12)):
            id_ = random.randrange(60)
            place = (id_ % 4 * STEP + id_ % 3, id_)
            if random.random() < 0.3:
                rows.pop(place, None)
            else:
                rows[place] = random.choice("abc")
        for line in topic.pull(rows, stop=random.choice((0, 1, 2, 1000)) if turn < 59 else 1000):
            assert isinstance(line.row, dict)
            seen[line.row["id"]] = None if line.gone else line.row["guest"]
        positions.append((topic.state.pull, 0))
    assert {id_: guest for id_, guest in seen.items() if guest} == {id_: guest for (_, id_), guest in rows.items()}
    assert all(a <= b for a, b in pairwise(positions))


def test_a_walk_that_breaks_off_takes_nothing_for_gone(topic: Topic, visits: Table) -> None:
    topic.pull({(n * STEP, n): "x" for n in range(4)})

    def broken():
        yield Read(0, {"id": 0, "guest": "x"})
        raise HeadraceError("the cluster is away")

    steps = unlike(broken(), visits, Delivered(visits.contract.key, topic.records), topic.state)
    with pytest.raises(HeadraceError, match="away"):
        list(steps)


def test_rows_out_of_order_are_refused(topic: Topic, visits: Table) -> None:
    walk = [Read(5, {"id": 0, "guest": "x"}), Read(4, {"id": 1, "guest": "x"})]
    with pytest.raises(HeadraceError, match="order of their tokens"):
        list(unlike(walk, visits, Delivered(visits.contract.key, []), State()))


def test_a_partition_without_rows_goes_to_quarantine_once_and_is_never_gone(topic: Topic, visits: Table) -> None:
    def pull(rows: list[dict[str, Any]]) -> list[Line]:
        walk = [Read(0, row) for row in rows]
        found: list[Line] = []
        for lines, state in unlike(walk, visits, Delivered(("id",), topic.records), topic.state):
            found, topic.state = [*found, *lines], state
            topic.records += state.parts.items()
        return found

    (line,) = pull([{"id": None, "guest": "static"}])
    assert (line.row, line.error) == (b'{"guest":"static","id":null}', "row 1 of public.visits has no id")
    assert pull([{"id": None, "guest": "static"}]) == []
    assert said(pull([{"id": 1, "guest": "static"}])) == [(1, "static")]


def test_what_json_cannot_say_is_sent_once_as_its_bytes(topic: Topic) -> None:
    (line,) = topic.pull({(0, 1): "\udcff"})
    assert line.row == b'{"id": 1, "guest": "\xff"}'
    assert line.error.startswith("row 1 of public.visits: ")
    assert topic.pull({(0, 1): "\udcff"}) == []
    assert said(topic.pull({(0, 1): "whole"})) == [(1, "whole")]


def test_a_key_of_other_columns_begins_anew(topic: Topic, visits: Table) -> None:
    topic.pull({(0, 1): "A"})
    assert Delivered(("id",), topic.records).rows(2048) != {}
    assert Delivered(("guest",), topic.records).rows(2048) == {}
