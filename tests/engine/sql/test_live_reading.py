"""Reading a live view in PostgreSQL: exact means, an empty table, and a group found by its index."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest

from headrace.project import Project
from headrace.project.contract import Column
from headrace.serve import schema
from headrace.sql.live import postgres, tables
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import Table, View
from tests.unit.sql.live import reference

COLUMNS = (
    Column("id", "integer", required=True, key=True),
    Column("place", "integer"),
    Column("kind", "string"),
    Column("amount", "number", precision=10, scale=2),
)
SHOPS = {"shops": Table("shops", COLUMNS, ("id",))}


@pytest.fixture(scope="module")
def connection(shared: Callable[..., Project], make_project: Callable[..., Project]):
    project = make_project({}, on=shared("postgres"))
    schema.ensure(project)
    with psycopg.connect(project.addresses.serving("writer")) as made:
        yield made


def put(connection: psycopg.Connection, name: str, query: str, cut: int | None = 5) -> View:
    """The view with its tables, empty; without a cut it is not switched to."""
    view = compile_live(name, query, SHOPS).view
    assert view is not None
    for statement in [*tables.create(view), f"CREATE {postgres.shown(view)}"]:
        connection.execute(statement)  # type: ignore[arg-type]
    if cut is not None:
        values = {"view": name, "version": tables.version(view), "cut": cut, "run_id": uuid.uuid4(), "base": None}
        values |= {
            "as_of": "2026-01-01T00:00:00Z",
            "generation": 0,
            "begins": "{}",
            "landed": "{}",
            "joined": "{}",
            "folded": "{}",
        }
        connection.execute(tables.SWITCH, values)
    return view


def test_means_are_rounded_as_spark_does(connection):
    view = put(connection, "live_means", "SELECT place, AVG(amount) AS mean FROM shops GROUP BY place")
    chance = random.Random(1)
    counts = {n: chance.randrange(1, 1000) for n in range(500)}
    sums = {
        n: (Decimal(chance.randrange(-(10**10) + 2, 10**10 - 2) * c) / 100 + Decimal("0.01"), c)
        for n, c in counts.items()
    }
    sums |= {1000: (Decimal("0.01"), 20000), 1001: (Decimal("-0.01"), 20000), 1002: (Decimal("1.00"), 3)}
    with connection.cursor() as cursor:
        rows = [(f"{n}", n, total, count, count) for n, (total, count) in sums.items()]
        cursor.executemany(f"INSERT INTO {tables.batch_table(view)} VALUES (%s, %s, %s, %s, %s)", rows)
    found = dict(connection.execute("SELECT place, mean FROM live.live_means").fetchall())
    assert found == {n: reference.mean(view.outputs[1].node, *pair) for n, pair in sums.items()}


def test_before_the_first_switch_there_is_nothing(connection):
    put(connection, "live_early", "SELECT COUNT(*) AS n FROM shops", cut=None)
    assert connection.execute("SELECT n FROM live.live_early").fetchall() == []


def test_an_empty_table_has_one_row_without_groups_and_none_with(connection):
    put(connection, "live_all", "SELECT COUNT(*) AS n, SUM(amount) AS total, COUNT(amount) AS paid FROM shops")
    put(connection, "live_each", "SELECT kind, COUNT(*) AS n FROM shops GROUP BY kind")
    assert connection.execute("SELECT n, total, paid FROM live.live_all").fetchall() == [(0, None, 0)]
    assert connection.execute("SELECT n FROM live.live_each").fetchall() == []


def test_a_group_is_found_by_its_index_in_both_layers(connection):
    """The condition of a reader goes through the sums of the view down to both tables."""
    view = put(connection, "live_kinds", "SELECT kind, place, SUM(amount) AS total FROM shops GROUP BY kind, place")
    batch, speed = tables.batch_table(view), tables.speed_table(view)
    keys = "SELECT md5(n::text), 'kind' || n, n, 1, 1"
    connection.execute(f"INSERT INTO {batch} {keys}, 1 FROM generate_series(1, 20000) n")
    more = "SELECT md5(n::text), 'kind' || n, n, n % 9, 0, 1, 1, 1, 1, now(), n, n FROM generate_series(1, 20000) n"
    connection.execute(f"INSERT INTO {speed} {more}")
    connection.execute(f"ANALYZE {batch}")
    connection.execute(f"ANALYZE {speed}")
    for condition in ("kind = 'kind7'", "place = 7"):
        found = connection.execute(f"SELECT total, provisional FROM live.live_kinds WHERE {condition}").fetchall()
        assert found == [(2, 0.5)]
        plan = connection.execute(f"EXPLAIN SELECT * FROM live.live_kinds WHERE {condition}").fetchall()
        text = "\n".join(line for (line,) in plan)
        assert text.count("Index") >= 2 and f"Seq Scan on {batch.split('.')[1]}" not in text, text
        assert f"Seq Scan on {speed.split('.')[1]}" not in text, text


def test_a_reader_of_an_old_snapshot_is_told_that_the_view_is_another(connection):
    """The text of a view is always the newest, its rows are the transaction's: it must not look empty."""
    view = put(connection, "live_anew", "SELECT COUNT(*) AS n FROM shops")
    connection.execute("UPDATE ops.live_views SET version = 'before' WHERE view = 'live_anew'")
    with pytest.raises(psycopg.errors.SerializationFailure, match="live_anew was made anew"), connection.transaction():
        connection.execute("SELECT n FROM live.live_anew")
    connection.execute("UPDATE ops.live_views SET version = %s WHERE view = 'live_anew'", (tables.version(view),))
    assert connection.execute("SELECT n FROM live.live_anew").fetchall() == [(0,)]
