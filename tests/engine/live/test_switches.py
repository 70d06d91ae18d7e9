"""Ten switches of a live view at 1,000 changes a second: PostgreSQL, Debezium, bus, landing, Flink, Spark, all real.

Readers ask all the time. What they see is checked against what had been committed when they asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from headrace.ingest import connectors
from headrace.live.run import run
from headrace.project import Project
from headrace.serve.database import connect
from tests.engine.batch.conftest import contract

from .conftest import shown
from .writer import FIRST, GONE, Known, Load, asked, first_wrong

TABLE, VIEW = "switch_rows", "switches"
COLUMNS = "id integer key;shop integer;kind string;amount decimal(10,2)"
SHOWN = "n, total, voids, ids"
QUERY = (
    "SELECT shop, COUNT(*) AS n, SUM(amount) AS total, COUNT_IF(kind = 'void') AS voids,"
    f" COUNT(DISTINCT id) AS ids FROM {TABLE} GROUP BY shop"
)
RATE, SWITCHES = 1000, 10  # changes a second; switches of the batch table


@pytest.fixture(scope="module")
def project(live_project: Callable[..., Project], shared: Callable[..., Project], shared_url, until) -> Project:  # type: ignore[no-untyped-def]
    base = shared("bus", "connect", "source:shop")
    files = {
        f"schemas/{TABLE}.yaml": contract(TABLE, COLUMNS),
        f"jobs/batch/{VIEW}.sql": f"-- live: true\n{QUERY}\n",
        "lake/sources/switching.yml": "kind: postgresql\n"
        f"connection: {{url: '{shared_url(base, 'shop')}'}}\ntables: {{{TABLE}: public.{TABLE}}}\n",
    }
    with psycopg.connect(base.addresses.source(base.source("shop"))) as connection:
        connection.execute(
            f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, shop bigint, kind text, amount numeric(10,2))"
        )
    made = live_project(files)
    until(lambda: connectors.ensure(made), 90, "Connect answers")
    until(lambda: run(made, made.job(VIEW)).state == "succeeded", 120, "the view is published")
    return made


def test_no_reader_sees_a_wrong_number_through_ten_switches(project: Project, until: Callable[..., Any]):
    address = project.addresses.source(project.source("switching"))
    load, known = Load(address, TABLE, RATE), Known(address, TABLE)
    total = f"SELECT SUM(n) FROM live.{VIEW} WHERE shop < {FIRST}"
    each = f"SELECT shop, n FROM live.{VIEW} WHERE shop < {FIRST}"
    groups = f"SELECT shop, {SHOWN} FROM live.{VIEW} WHERE shop >= {FIRST}"
    with load.at_work(), known.at_work():
        until(lambda: shown(project, VIEW, "n"), 60, "the first rows are visible")
        with (
            asked(project, total, lambda: load.begun) as totals,
            asked(project, each, lambda: None) as shops,
            asked(project, groups, known.begun) as states,
        ):
            switches = 0
            while switches < SWITCHES:
                switches += run(project, project.job(VIEW)).state == "succeeded"
    numbers = [rows[0][0] or 0 for _, rows in totals]
    print(f"{load.changes / load.seconds:.0f} changes/s, {len(totals)}, {len(shops)} and {len(states)} answers")
    assert load.changes / load.seconds > 0.6 * RATE, "the load was not what it should be"  # on a busy machine
    assert numbers == sorted(numbers), "a total went back"
    assert [n for (begun, _), n in zip(totals, numbers, strict=True) if n > begun] == [], "more rows than were inserted"
    assert len(set(numbers)) > SWITCHES
    before: dict[int, int] = {}
    for _, rows in shops:
        now = dict(rows)
        assert [s for s, n in before.items() if now.get(s, 0) < n] == [], "a shop's number went back"
        before = now
    assert not (wrong := known.wrong(states)), wrong
    assert known.transactions > 10 * SWITCHES
    with psycopg.connect(address) as connection:
        wanted = connection.execute(QUERY.replace("COUNT_IF(kind = 'void')", "COUNT(*) FILTER (WHERE kind = 'void')"))
        expected = sorted(wanted.fetchall(), key=repr)
    until(lambda: shown(project, VIEW, f"shop, {SHOWN}") == expected, 60, "the view is the query")
    with connect(project) as connection:
        said = connection.execute("SELECT DISTINCT state FROM ops.reconciliation WHERE keys > 0").fetchall()
    assert said == [("equal",)]


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ([(1, GONE), (2, (1,)), (4, (2,)), (4, GONE)], False),
        ([(4, (2,)), (4, (1,))], True),  # back
        ([(2, (2,))], True),  # ahead of what was begun
        ([(4, (3,))], True),  # never
    ],
)
def test_the_check_itself_finds_what_is_wrong(answers: list[tuple[int, tuple[int, ...]]], wrong: bool):
    assert bool(first_wrong([GONE, (1,), (2,), GONE], answers)) is wrong
