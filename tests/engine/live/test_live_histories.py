"""Random histories end to end on the real engines: after each step the merged view equals the plain query.

Each seed is a history of its own of one table: changes of rows, transactions that commit or abort, runs, full runs,
snapshot rows, new partitions, restarts of the speed job, and another version of the query, in random order, on one
project, one history behind the other. The algebra itself is tried on ten thousand histories in tests/unit/sql/live.
HEADRACE_HISTORIES says how many here, too.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from headrace.live.run import run
from headrace.project import Project
from headrace.serve import live as serve
from headrace.serve.database import connect
from headrace.stream import speed
from tests.engine.batch.conftest import contract, project_files

from .conftest import COLUMNS, Table, shown, write_job

TABLE, VIEW = "live_step_rows", "live_steps"
QUERY = (
    "SELECT shop, CAST(placed AS DATE) AS day, SUM({0}) AS total, COUNT(*) AS n, COUNT(amount) AS paid,"
    " AVG(amount) AS mean, COUNT(CASE WHEN kind = 'void' THEN 1 END) AS voids, COUNT(DISTINCT kind) AS kinds FROM "
    + TABLE
    + " GROUP BY shop, CAST(placed AS DATE)"
)
SHOWN = "shop, day, total, n, paid, voids, kinds"
MOST_PARTITIONS = 6
HISTORIES = min(int(os.environ.get("HEADRACE_HISTORIES", "4")), 500)


class World:
    """The table, its view, and everything that may happen to them."""

    def __init__(self, project: Project, until: Callable[..., Any]) -> None:
        self.project, self.until, self.table, self.factor = project, until, Table(project, TABLE), 1
        self.snapshot = False
        self.did: list[str] = []

    @property
    def query(self) -> str:
        return QUERY.format("amount" if self.factor == 1 else f"amount * {self.factor}")

    def changes(self) -> None:
        for _ in range(self.table.chance.randrange(1, 8)):
            self.table.anything()

    def is_in_a_transaction(self) -> None:
        """Some changes come at once, or are taken back, while others come before them."""
        with self.table.open_transaction(commits=self.table.chance.random() < 0.7):
            self.changes()

    def partition_comes(self) -> None:
        if self.table.partitions < MOST_PARTITIONS:
            self.table.add_partition()
        for _ in range(self.table.partitions):
            self.table.insert()

    def runs(self) -> None:
        """After rows of a snapshot the run must say that it was a full one."""
        done = run(self.project, self.project.job(VIEW))
        if self.snapshot:
            assert done.note, "the rows of the snapshot were not noticed"
        self.snapshot = False

    def runs_in_full(self) -> None:
        run(self.project, self.project.job(VIEW), full=True)
        self.snapshot = False

    def is_snapshotted(self) -> None:
        """A row comes by a snapshot alone: it waits for the next run."""
        self.table.rows[self.table.next_id] = row = self.table.row(self.table.next_id)
        self.table.next_id += 1
        self.table.send("r", None, row, snapshot="true")
        self.snapshot = True
        self.runs()

    def speed_ends(self) -> None:
        for name, version in speed.running(self.project):
            speed.stop(self.project, name, version)

    def query_changes(self) -> None:
        self.factor += 1
        self.project = write_job(self.project, VIEW, f"-- live: true\n{self.query}\n")
        self.runs()

    def differing(self) -> set[Any]:
        there = shown(self.project, VIEW, SHOWN)
        return set(there) ^ set(self.table.plain(f"SELECT {SHOWN} FROM ({self.query})"))

    def check(self) -> None:
        if not speed.running(self.project):
            self.runs()  # what the pulse does: the run makes the speed job run first of all
        try:
            self.until(lambda: not self.differing(), 60)
        except pytest.fail.Exception:
            pytest.fail(f"after {self.did} the view is not the query: {sorted(self.differing(), key=repr)}")


@pytest.fixture(scope="module")
def world(live_project: Callable[..., Project], until: Callable[..., Any]) -> World:
    job = {f"jobs/batch/{VIEW}.sql": f"-- live: true\n{QUERY.format('amount')}\n"}
    found = World(live_project(project_files({TABLE: contract(TABLE, COLUMNS)}, job)), until)
    for _ in range(10):
        found.table.insert()
    found.runs()
    return found


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_the_view_is_the_query_after_every_step(world: World, seed: int):
    chance = random.Random(seed)
    world.table.chance.seed(seed)
    often: list[Callable[[], None]] = [world.changes, world.changes, world.is_in_a_transaction, world.runs]
    seldom: list[Callable[[], None]] = [
        *(world.runs_in_full, world.is_snapshotted, world.speed_ends, world.query_changes, world.partition_comes),
    ]
    steps = [chance.choice(often) for _ in range(3)] + [chance.choice(seldom if chance.random() < 0.3 else often)]
    world.did = [step.__name__ for step in steps]
    for step in steps:
        step()
    world.check()


def test_nothing_was_ever_found_to_differ(world: World):
    with connect(world.project) as connection:
        states = connection.execute("SELECT state, count(*) FROM ops.reconciliation GROUP BY state").fetchall()
        assert serve.published(connection, VIEW)
    assert "different" not in dict(states) and dict(states)["equal"] > 0, states
