"""Random histories through both layers: after each step the merged view equals the plain query over what was accepted.

Rows are inserted, changed, moved and deleted, images break their contract, transactions stay open or are repeated,
partitions are added, clocks step, tables are snapshotted anew, batches run at random cuts, and the speed layer is
restarted in several ways. By default a few hundred histories; for ten thousand:

    HEADRACE_HISTORIES=10000 .venv/bin/python -m pytest tests/unit/sql/live/test_histories.py
"""

from __future__ import annotations

import os
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from headrace.sql.live.tree import View
from tests.unit.sql.live.layers import CHUNK, MARGIN
from tests.unit.sql.live.world import World, view_of

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "200"))
QUERIES = (
    "SELECT place, SUM(amount) AS total, COUNT(*) AS n, COUNT(amount) AS paid, AVG(amount) AS mean "
    "FROM sales GROUP BY place",
    "SELECT status, place, SUM(CASE WHEN status <> 'void' THEN amount ELSE 0 END) AS kept, "
    "COUNT_IF(amount > 5) AS large FROM sales WHERE place IS NOT NULL GROUP BY status, place HAVING COUNT(*) > 1",
    "SELECT SUM(amount) AS total, COUNT(*) AS n, AVG(amount) FILTER (WHERE status = 'open') AS mean FROM sales",
    "SELECT p.city, SUM(s.amount) AS total, COUNT(*) AS n FROM sales s LEFT JOIN places p ON p.id = s.place "
    "WHERE s.status <> 'void' GROUP BY p.city",
    "SELECT p.city, COUNT(DISTINCT s.amount) AS amounts, SUM(amount) AS total, COUNT(*) AS n FROM sales s "
    "LEFT JOIN places p ON p.id = s.place GROUP BY p.city HAVING COUNT(DISTINCT s.amount) < 3",
    "SELECT status, SUM(amount) AS total, COUNT(*) AS n, COUNT(DISTINCT place) AS places FROM sales GROUP BY status",
    "SELECT COUNT(DISTINCT place) FILTER (WHERE status = 'open') AS places, SUM(amount) AS total FROM sales",
    "SELECT p.city, COUNT(s.amount) AS n FROM sales s JOIN places p ON p.id = s.place WHERE p.city <> 'Bern' "
    "GROUP BY p.city",
)
EVENTS = (
    "SELECT status, COUNT(DISTINCT place) AS places, MAX(amount) AS most FROM events GROUP BY status",
    "SELECT place, MIN(amount) AS least, MAX(amount) AS most, SUM(amount) AS total, COUNT(*) AS n "
    "FROM events GROUP BY place",
)

PLACES = st.sampled_from([1, 2, 3, None])
STATUSES = st.sampled_from(["open", "void"])
AMOUNTS = st.sampled_from([Decimal("1.00"), Decimal("10.10"), Decimal("-3.33"), None])
RARELY = st.integers(0, 5).map(lambda n: n == 0)


class Events(RuleBasedStateMachine):
    """A table to which rows are only ever added."""

    views: ClassVar[tuple[View, ...]] = tuple(map(view_of, EVENTS))

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.world = World(data.draw(st.sampled_from(self.views)))
        self.keys = 0

    @rule(place=PLACES, status=STATUSES, amount=AMOUNTS, broken=RARELY, hidden=RARELY)
    def insert(self, place, status, amount, broken, hidden) -> None:
        self.keys += 1
        row = {"place": place, "status": status, "amount": amount}
        self.world.change(self.keys, row, not broken, hidden)

    @precondition(lambda self: self.world.bus.open)
    @rule()
    def commit(self) -> None:
        self.world.commit()

    @precondition(lambda self: self.world.bus.open)
    @rule()
    def abort(self) -> None:
        self.world.abort()

    @rule(ticks=st.integers(1, 2 * CHUNK))
    def wait(self, ticks: int) -> None:
        self.world.clock += ticks

    @rule(partition=st.integers(0, 3), ticks=st.integers(0, MARGIN * CHUNK))
    def step_clock(self, partition: int, ticks: int) -> None:
        self.world.behind[partition] = ticks

    @precondition(lambda self: len(self.world.bus.partitions) < 4)
    @rule()
    def add_partition(self) -> None:
        self.world.bus.partitions.append([])

    @rule()
    def mark(self) -> None:
        self.world.mark()

    @rule(partition=st.integers(0, 3))
    def land_one(self, partition: int) -> None:
        if partition < len(self.world.bus.partitions):
            self.world.batch.land(partition)

    @rule(back=st.integers(0, 2), full=st.booleans(), grace=st.integers(0, 3), marked=st.integers(0, 3))
    def run_batch(self, back: int, full: bool, grace: int, marked: int) -> None:
        if marked:
            self.world.mark()
            self.world.land()
        self.world.run(back, full, grace)

    @rule()
    def checkpoint(self) -> None:
        self.world.speed.checkpoint()

    @rule()
    def stop(self) -> None:
        self.world.is_running = False

    @rule()
    def go_on(self) -> None:
        self.world.is_running = True
        self.world.catch_up()

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def lose_state(self) -> None:
        self.world.speed.forget()

    @precondition(lambda self: self.world.serving.cut is not None)
    @rule()
    def restart_from_cut(self) -> None:
        self.world.restart()


class Rows(Events):
    """A database's table, joined to another that changes as well."""

    views = tuple(map(view_of, QUERIES))

    @precondition(lambda self: self.world.rows)
    @rule(
        data=st.data(), place=PLACES, status=STATUSES, amount=AMOUNTS, stays=st.booleans(), broken=RARELY, hidden=RARELY
    )
    def update(self, data, place, status, amount, stays, broken, hidden) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.rows)))
        row = {"place": place, "status": status, "amount": amount}
        if stays:  # in its group
            row |= {n: self.world.rows[key][0][n] for n in ("place", "status")}
        self.world.change(key, row, not broken, hidden)

    @precondition(lambda self: self.world.rows)
    @rule(data=st.data(), hidden=RARELY)
    def delete(self, data, hidden) -> None:
        self.world.change(data.draw(st.sampled_from(sorted(self.world.rows))), None, hidden=hidden)

    @precondition(lambda self: not self.world.bus.open)
    @rule(lost=st.booleans())
    def snapshot_anew(self, lost: bool) -> None:
        self.world.snapshot(lost)

    @rule(place=st.sampled_from([1, 2, 3]), city=st.sampled_from(["Bern", "Thun", None]))
    def move_place(self, place: int, city: str | None) -> None:
        """A joined row changes, or goes away: both layers see the present one."""
        rows = self.world.dimensions.rows["p"]
        rows.pop((place,), None)
        if city is not None:
            rows[(place,)] = {"id": place, "city": city}
        self.world.check()


@pytest.mark.timeout(0 if HISTORIES > 1000 else 300)
@pytest.mark.parametrize(("machine", "histories"), [(Rows, HISTORIES), (Events, max(HISTORIES // 4, 25))])
def test_every_history_gives_what_the_plain_query_gives(machine: type[Events], histories: int):
    chosen = settings(
        max_examples=histories,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(machine, settings=chosen)
