"""The query of a history over generated changes, against a plain walk over them.

It is Spark SQL. Here DuckDB runs its translation over rows made by hand, so that hundreds of histories take seconds;
tests/engine/batch/test_history_cases.py has Spark run it over landing.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.batch import shape
from headrace.batch.current import Current
from headrace.batch.history import history
from headrace.errors import Place
from headrace.lake.arrivals import Floor
from headrace.project import Column, Contract, Table
from tests.engine.batch.conftest import START
from tests.engine.batch.plain import State, appended_at, unsound, walk

CONTRACT = Contract("t", "1", (Column("id", "integer", True, True), Column("n", "integer")), Place(Path("t.yaml")))
TABLE = Table("t", "shop", "public.t", "shop.public.t", CONTRACT, Place(Path("shop.yml")))
ROWS = (
    "id BIGINT, n BIGINT, _op VARCHAR, _event_time TIMESTAMPTZ, _appended_at TIMESTAMPTZ, _epoch BIGINT, "
    "_position VARCHAR, _partition INT, _offset BIGINT, _transaction VARCHAR, _deleted BOOLEAN"
)
Change = dict[str, Any]

_epochs, _seconds = st.sampled_from((1, 1, 2)), st.integers(0, 30)
_changes = st.builds(
    lambda op, id, n, position, epoch, event, at, transaction: {
        "op": op, "key": {"id": id}, "after": {"id": id, "n": n}, "position": f"{2 * position:03d}", "epoch": epoch,
        "event_time": START + timedelta(seconds=event), "at": at, "transaction_id": transaction,
    },
    st.sampled_from("cuuddr"), st.integers(0, 2), st.integers(0, 1), st.integers(1, 6), _epochs, _seconds, _seconds,
    st.sampled_from((None, None, "7")),
)  # fmt: skip
_floors = st.builds(
    lambda op, position, epoch, at: {
        "op": op, "position": f"{2 * position + 1:03d}", "epoch": epoch, "at": at,
        "snapshot": "complete" if op == "m" else "false",
    },
    st.sampled_from("tm"), st.integers(0, 6), _epochs, _seconds,
)  # fmt: skip


@pytest.fixture
def told(monkeypatch):
    """told(landed): what the history view says of changes in order of arrival."""
    monkeypatch.setattr(shape, "images", lambda *args: "SELECT * FROM images")

    def ask(landed: list[Change]) -> list[State]:
        floors = {}
        for one in landed:
            if one["op"] in "tm":
                kind = "truncate" if one["op"] == "t" else "snapshot"
                floor = Floor(one["epoch"], one["position"], appended_at(one), kind)
                floors.setdefault(floor.order, floor)
        query = history(CONTRACT, Current(TABLE, "", 0, {}, tuple(floors.values())), "")
        translated = sqlglot.transpile(query, read="spark", write="duckdb")[0]
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("CREATE MACRO get(l, i) AS list_extract(l, CAST(i + 1 AS BIGINT))")
            connection.execute(f"CREATE TABLE images ({ROWS})")
            rows = [row(one, offset) for offset, one in enumerate(landed) if one["op"] not in "tm"]
            if rows:
                connection.executemany(f"INSERT INTO images VALUES ({', '.join('?' * len(rows[0]))})", rows)
            # A timestamp of Spark has a zone.
            found = connection.execute(re.sub(r"(CAST\('[^']+' AS TIMESTAMP)\)", r"\1TZ)", translated)).fetchall()
        utc = [[moment and moment.astimezone(UTC) for moment in moments] for _, _, *moments in found]
        return [({"id": id, "n": n}, *moments) for (id, n, *_), moments in zip(found, utc, strict=True)]  # type: ignore[misc]

    return ask


def row(one: Change, offset: int) -> tuple[Any, ...]:
    places = (one["epoch"], one["position"], 0, offset, one["transaction_id"], one["op"] == "d")
    return (*one["after"].values(), one["op"], one["event_time"], appended_at(one), *places)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_changes, max_size=16),
    st.lists(_floors, max_size=4, unique_by=lambda f: (f["epoch"], f["position"])),
    st.data(),
)
def test_any_history_is_told_as_a_plain_walk_tells_it(told, changes, floors, data) -> None:
    again = data.draw(st.lists(st.sampled_from(changes), max_size=3)) if changes else []
    landed = data.draw(st.permutations(changes + again + floors))
    current, states = walk(landed)
    found = told(landed)
    assert sorted(found, key=repr) == sorted(states, key=repr)
    assert unsound(found, current, ("id",)) == []
