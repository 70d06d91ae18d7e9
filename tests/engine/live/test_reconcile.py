"""Reconciliation on PostgreSQL: what is equal, what differs why, and what readers find of it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headrace.live import reconcile
from headrace.live.reconcile import DIFFERENT, EQUAL, UNPROVEN, Verdict
from headrace.project import Project
from headrace.project.live import live_tables
from headrace.project.personal import personal
from headrace.serve import reading, reconciliation, schema
from headrace.serve.database import connect
from headrace.sql.live import tables
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import View

ROOT = Path(__file__).parents[3]
SALES = """\
schema:
  - name: sales
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: place, logicalType: integer}
      - {name: kind, logicalType: string}
      - {name: guest, logicalType: string, tags: [personal]}
      - {name: amount, logicalType: number, physicalType: "decimal(10,2)"}
      - {name: at, logicalType: timestamp}
"""
KINDS = "SELECT place, kind, SUM(amount) AS total, COUNT(*) AS n FROM sales GROUP BY place, kind"
GUESTS = "SELECT guest, COUNT(*) AS n FROM sales GROUP BY guest"
FILES = {
    "lake/sources/shop.yml": "kind: events\ntables: {sales: events.sales}\n",
    "schemas/sales.yaml": SALES,
    "jobs/batch/reconciled.sql": f"-- live: true\n{KINDS}",
    "jobs/batch/reconciled_guests.sql": f"-- live: true\n{GUESTS}",
}
SINCE, CUT = 10, 14
SECRET = "Ada Lovelace"
Sums = tuple[Any, ...]  # of one key: m1 …, row_count, images


@pytest.fixture(scope="module")
def project(shared: Callable[..., Project], make_project: Callable[..., Project]) -> Project:
    made = make_project(FILES, on=shared("postgres"))
    assert not made.problems
    schema.ensure(made)
    return made


@pytest.fixture(scope="module")
def owner(project: Project):
    with connect(project) as connection:
        yield connection


@pytest.fixture
def put(project: Project, owner: psycopg.Connection):
    """Makes a view with partials of both layers: batch {key: sums}, speed [(chunk, part, key, sums)]."""

    def make(query: str, batch: dict[tuple[Any, ...], Sums], speed: Iterable[Any], name: str = "reconciled") -> View:
        view = compile_live(name, query, live_tables(project)).view
        assert view is not None
        gone = [f"DROP TABLE IF EXISTS {t}" for t in ("staged", tables.batch_table(view), tables.speed_table(view))]
        for statement in [*gone, *tables.create(view)]:
            owner.execute(statement)  # type: ignore[arg-type]
        names = ["group_key", *(p.name for p in (*view.keys, *view.measures)), "row_count", "images"]
        table = tables.speed_table(view)
        owner.execute(f"CREATE TEMPORARY TABLE staged AS SELECT {', '.join(names)} FROM {table}")  # type: ignore[arg-type]
        # The engines' group_key differ where they write a value differently: only the keys themselves count.
        insert(owner, "staged", names, [(f"spark {hash(key)}", *key, *sums) for key, sums in batch.items()])
        own = ["chunk", "part", "newest", "upto", "min_offset"]
        rows = [
            (f"flink {hash(k)}", *k, *s, chunk, part, datetime(2026, 1, 1, tzinfo=UTC), 9, 1)
            for chunk, part, k, s in speed
        ]
        insert(owner, table, [*names, *own], rows)
        return view

    return make


def insert(connection: psycopg.Connection, table: str, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        query = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"
        cursor.executemany(query, rows)  # type: ignore[arg-type]


def compare(owner: psycopg.Connection, view: View) -> Verdict:
    return reconcile.compare(owner, view, "staged", SINCE, CUT)


def spread(key: tuple[Any, ...], *sums: Sums) -> list[Any]:
    """Speed rows of a key in one chunk and partition after the other, all of the stretch."""
    return [(SINCE + i % (CUT - SINCE), i, key, one) for i, one in enumerate(sums)]


D = Decimal


def test_equal_whatever_the_chunks_and_partitions(owner, put):
    batch = {
        (1, "a"): (D("30.10"), 3, 3, 5),
        (None, "a"): (D("1.00"), 1, 1, 1),
        (1, None): (D("0.00"), 0, 2, 2),
        (None, None): (D("-5.00"), -1, -1, 3),  # more went than came
        (2, ""): (D("0.00"), 0, 0, 2),  # came and went: nothing is owed
        (3, "x" * 10000): (D("99999999999999.99"), 1, 1, 1),
        (4, "zero"): (D("0.00"), 0, 0, 0),  # nothing at all, and no row in the other layer
    }
    speed = [
        *spread((1, "a"), (D("40.05"), 4, 4, 4), (D("-9.95"), -1, -1, 1)),
        *spread((None, "a"), (D("1.00"), 1, 1, 1)),
        *spread((1, None), (D("0.00"), 0, 1, 1), (D("0.00"), 0, 0, 0), (D("0.00"), 0, 1, 1)),
        *spread((None, None), (D("-5.00"), -1, -1, 3)),
        *spread((2, ""), (D("7.00"), 1, 1, 1), (D("-7.00"), -1, -1, 1)),
        *spread((3, "x" * 10000), (D("99999999999999.99"), 1, 1, 1)),
        *spread((5, "zero too"), (D("0.00"), 0, 0, 0)),
        (SINCE - 1, 0, (1, "a"), (D("1.00"), 1, 1, 1)),  # outside of the stretch
        (CUT, 0, (1, "a"), (D("1.00"), 1, 1, 1)),
    ]
    assert compare(owner, put(KINDS, batch, speed)) == Verdict(EQUAL, 6)


def test_each_cause(owner, put):
    batch = {
        (1, "dropped"): (D("3.00"), 2, 2, 2),
        (2, None): (D("1.00"), 1, 1, 1),  # dropped, nothing is there
        (3, "duplicate"): (D("1.00"), 1, 1, 1),
        (5, "code"): (D("1.10"), 1, 1, 1),
        (6, "code"): (D("1.00"), 1, 1, 1),  # another number of values
        (7, "unknown"): (D("0.00"), 0, 1, 3),
        (8, "equal"): (D("1.00"), 1, 1, 1),
        (9, "zero sum"): (D("0.00"), 0, 0, 2),  # two messages that cancel each other out are missing all the same
    }
    speed = [
        *spread((1, "dropped"), (D("1.00"), 1, 1, 1)),
        *spread((3, "duplicate"), (D("1.00"), 1, 1, 1), (D("1.00"), 1, 1, 1)),
        *spread((None, "duplicate"), (D("-2.50"), -1, -1, 1)),
        *spread((5, "code"), (D("1.11"), 1, 1, 1)),
        *spread((6, "code"), (D("1.00"), 0, 1, 1)),
        *spread((7, "unknown"), (D("0.00"), 0, -1, 3)),
        *spread((8, "equal"), (D("1.00"), 1, 1, 1)),
    ]
    view = put(KINDS, batch, speed)
    found = compare(owner, view)
    assert (found.state, found.keys, found.differing) == (DIFFERENT, 9, 8)
    assert found.causes == {"dropped": 3, "duplicate": 2, "code version": 2, "unknown": 1}
    assert {(d.key["place"], d.key["kind"]): d.cause for d in found.differences} == {
        (1, "dropped"): "dropped",
        (2, None): "dropped",
        (9, "zero sum"): "dropped",
        (3, "duplicate"): "duplicate",
        (None, "duplicate"): "duplicate",
        (5, "code"): "code version",
        (6, "code"): "code version",
        (7, "unknown"): "unknown",
    }
    sides = {d.key["place"]: (d.batch, d.speed) for d in found.differences}
    assert sides[2] == ({"total": D("1.00"), "count(amount)": 1, "row_count": 1, "images": 1}, None)
    assert sides[None] == (None, {"total": D("-2.50"), "count(amount)": -1, "row_count": -1, "images": 1})
    assert [s and s["total"] for s in sides[5]] == [D("1.10"), D("1.11")]
    error = reconcile.problem(view, SINCE, CUT, found)
    assert error and "8 of 9 keys" in str(error)


def test_minimum_and_maximum(owner, put):
    query = "SELECT place, MIN(at) AS first, MAX(amount) AS most FROM sales GROUP BY place"
    early, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    batch = {
        (1,): (early, D("5.00"), 3, 3),
        (2,): (None, None, 1, 1),
        (3,): (early, None, 1, 1),
        (4,): (None, None, 1, 1),
    }
    speed = [
        *spread((1,), (later, D("5.00"), 1, 1), (early, None, 1, 1), (None, D("-1.00"), 1, 1)),
        *spread((2,), (None, None, 1, 1)),
        *spread((3,), (later, None, 1, 1)),
        *spread((4,), (early, None, 1, 1)),
    ]
    found = compare(owner, put(query, batch, speed))
    assert (found.state, found.keys, found.causes) == (DIFFERENT, 4, {"code version": 2})
    assert [(d.key["place"], (d.batch or {})["first"], (d.speed or {})["first"]) for d in found.differences] == [
        (3, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"),
        (4, None, "2026-01-01T00:00:00+00:00"),
    ]


def test_one_row_without_keys(owner, put):
    query = "SELECT COUNT(*) AS n FROM sales"
    assert compare(owner, put(query, {(): (0, 0)}, [])).state == UNPROVEN  # nothing came: not a proof
    assert compare(owner, put(query, {(): (3, 5)}, spread((), (4, 4), (-1, 1)))) == Verdict(EQUAL, 1)
    found = compare(owner, put(query, {(): (3, 5)}, []))
    assert (found.causes, found.differences[0].key, found.differences[0].speed) == ({"dropped": 1}, {}, None)


def test_nothing_to_compare_is_never_equal(owner, put):
    view = put(KINDS, {}, [(CUT, 0, (1, "a"), (D("1.00"), 1, 1, 1))])
    assert compare(owner, view).state == UNPROVEN
    assert "the cut did not move" in reconcile.compare(owner, view, "staged", CUT, CUT).reason


def test_lost_state_makes_a_stretch_unproven(owner, put):
    batch = {(1, "a"): (D("2.00"), 2, 2, 2), (2, "a"): (D("1.00"), 1, 1, 1)}
    speed = [*spread((1, "a"), (D("1.00"), 1, 1, 1)), *spread((2, "a"), (D("1.00"), 1, 1, 1))]
    view = put(KINDS, batch, [*speed, (CUT, 0, (3, "a"), (D("1.00"), 1, 1, 1))])
    table = tables.speed_table(view)
    owner.execute(
        f"UPDATE {table} SET min_offset = min_offset + 1 WHERE chunk = {CUT}"
    )  # behind: the next one's matter
    assert compare(owner, view).state == DIFFERENT
    owner.execute(f"UPDATE {table} SET min_offset = min_offset + 1 WHERE k1 = 1")
    found = compare(owner, view)
    assert (found.state, found.causes) == (UNPROVEN, {"dropped": 1})
    assert found.reason.startswith(f"1 partial of the speed layer in chunk {SINCE} lost state")
    assert reconcile.problem(view, SINCE, CUT, found) is None


def test_many_differences_are_counted_and_some_of_each_cause_kept(owner, put):
    batch: dict[tuple[Any, ...], Sums] = {(n, "x"): (D("1.00"), 1, 1, 1) for n in range(1500)}
    speed = [s for n in range(2) for s in spread((n, "x"), (D("1.00"), 1, 1, 2))]
    found = compare(owner, put(KINDS, batch, speed))
    assert (found.keys, found.differing, found.causes) == (1500, 1500, {"dropped": 1498, "duplicate": 2})
    assert len(found.differences) == reconcile.MOST
    assert {d.key["place"] for d in found.differences if d.cause == "duplicate"} == {0, 1}


def test_records_that_came_late(owner, put):
    view = put(
        KINDS, {(1, "a"): (D("2.00"), 1, 1, 1), (2, "a"): (D("0.00"), 0, 0, 0)}, spread((1, "a"), (D("2.00"), 1, 1, 1))
    )
    found = reconcile.late(owner, view, "staged", "partition 0 from offset 17")
    assert (found.state, found.causes, found.reason) == (
        DIFFERENT,
        {"late": 1},
        "records came late: partition 0 from offset 17",
    )
    assert [(d.cause, d.key, d.speed) for d in found.differences] == [("late", {"place": 1, "kind": "a"}, None)]
    assert reconcile.late(owner, put(KINDS, {}, []), "staged", "partition 0").state == UNPROVEN


def test_readers_find_every_verdict_and_the_alert(project, owner, put):
    view = put(KINDS, {(1, "a"): (D("12345678901234.50"), 1, 1, 1)}, spread((1, "a"), (D("0.25"), 1, 1, 1)))
    run_id = uuid.uuid4()

    def note(verdict: Verdict, of: View = view, since: int = SINCE) -> int:
        return reconcile.record(owner, of, run_id, since, CUT, verdict)

    def alerts() -> list[Any]:
        columns = "severity, since, cut, differing, times, causes, is_open, command"
        query = f"SELECT {columns} FROM alerts.headrace_reconciliation WHERE view = 'reconciled' ORDER BY raised_at"
        return reading.query(project, query).rows

    def newest() -> dict[str, Any]:
        with connect(project, "reader") as reader:
            found = reconciliation.newest(reader, "reconciled")
        assert found is not None
        return found

    assert "not compared yet" in headrace(project, "reconciled").stdout
    note(Verdict(EQUAL, 3))
    note(reconcile.unproven("the job is behind"))
    assert headrace(project, "reconciled").returncode == 0
    first = note(compare(owner, view))
    columns = "version, run_id, since, cut, chunk_seconds, state, keys, differing, causes, reason"
    query = f"SELECT {columns} FROM ops.reconciliation WHERE view = 'reconciled' ORDER BY id"
    start = (tables.version(view), run_id, SINCE, CUT, view.seconds)
    assert reading.query(project, query).rows == [
        (*start, "equal", 3, 0, {}, None),
        (*start, "unproven", 0, 0, {}, "the job is behind"),
        (*start, "different", 1, 1, {"code version": 1}, None),
    ]
    with connect(project, "reader") as reader:
        assert reconciliation.keys(reader, first) == [
            {
                "cause": "code version",
                "key": {"place": 1, "kind": "a"},
                "batch": {"total": D("12345678901234.50"), "count(amount)": 1, "row_count": 1, "images": 1},
                "speed": {"total": D("0.25"), "count(amount)": 1, "row_count": 1, "images": 1},
                "masked": False,
            }
        ]
    opened = ("page", SINCE, CUT, 1, 1, {"code version": 1}, True, "headrace reconcile reconciled")
    assert alerts() == [opened]
    done = headrace(project, "reconciled")
    assert done.returncode == 1, done.stderr
    assert "reconciled: different" in done.stdout
    assert "batch: total=12345678901234.50" in done.stdout
    assert '"total": 0.25' in headrace(project, "reconciled", "--format", "csv").stdout.replace('""', '"')
    for _ in range(reconciliation.KEPT):  # it is tried again
        note(compare(owner, view))
    assert alerts() == [(*opened[:4], reconciliation.KEPT + 1, *opened[5:])]
    assert reading.query(
        project, f"SELECT count(*) FROM ops.reconciliation_keys WHERE reconciliation = {first}"
    ).rows == [(0,)]
    note(reconcile.unproven("the job is behind"))
    assert alerts()[0][6] and newest()["open_since"]
    later = headrace(project, "reconciled")
    assert later.returncode == 0 and "not shown to be equal since" in later.stdout
    assert "batch: total=12345678901234.50" in later.stdout
    note(Verdict(EQUAL, 3))
    assert not alerts()[0][6] and newest()["open_since"] is None
    note(compare(owner, view), since=SINCE + 1)
    assert [a[6] for a in alerts()] == [False, True]
    publish(owner, "another")
    replaced = headrace(project, "reconciled")
    assert replaced.returncode == 0 and "Readers see another version" in replaced.stdout
    note(reconcile.unproven("filled anew"), replace(view, seconds=20))
    assert [a[6] for a in alerts()] == [False, False]


def test_a_repair_raises_the_generation_of_a_published_view(project, owner):
    owner.execute("DELETE FROM ops.live_views")  # no run of it is in this test: what a run does is another's
    done = headrace(project, "reconciled", "--repair")
    assert done.returncode == 1
    assert "was never published" in done.stderr
    publish(owner, "x")
    assert [reconciliation.repair(owner, "reconciled") for _ in range(2)] == [1, 2]
    assert reconciliation.repair(owner, "another") is None


def test_readers_see_no_personal_value(project, owner, put):
    view = put(GUESTS, {(SECRET,): (1, 1), (None,): (1, 1)}, [], "reconciled_guests")
    origins = personal(project, project.job("reconciled_guests"))
    found = reconcile.compare(owner, view, "staged", SINCE, CUT, origins)
    assert found.hidden == ("guest",)
    number = reconcile.record(owner, view, uuid.uuid4(), SINCE, CUT, found)
    query = (
        f"SELECT key, batch, speed, masked FROM ops.reconciliation_keys WHERE reconciliation = {number} ORDER BY place"
    )
    assert reading.query(project, query).rows == [({"guest": "***"}, {"row_count": 1, "images": 1}, None, True)] * 2
    kept = owner.execute(
        "SELECT key->>'guest' FROM personal.reconciliation_keys WHERE reconciliation = %s ORDER BY place", (number,)
    )
    assert [guest for (guest,) in kept] == [SECRET, None]
    done = headrace(project, "reconciled_guests")
    assert done.returncode == 1
    assert "guest=***" in done.stdout and SECRET not in done.stdout
    assert "the owner reads them in personal.reconciliation_keys" in done.stdout
    assert SECRET not in str(reconcile.problem(view, SINCE, CUT, found))
    with connect(project, "reader") as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM personal.reconciliation_keys")


def publish(owner: psycopg.Connection, version: str) -> None:
    query = "INSERT INTO ops.live_views (view, version, cut, run_id, as_of) VALUES ('reconciled', %s, %s, %s, now())"
    owner.execute(query, (version, CUT, uuid.uuid4()))


def headrace(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from headrace.cli import main; main()", "reconcile", *arguments]
    return subprocess.run([*command, "-C", str(project.root)], capture_output=True, text=True, cwd=ROOT)
