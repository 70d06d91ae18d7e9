"""Debezium on real databases: snapshot, stream, killed workers, wrong credentials. The lake folds to the database."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest

from headrace.errors import HeadraceError
from headrace.ingest import bus, connectors, debezium, markers, topics
from headrace.ingest.database import connect
from headrace.local import supervise
from headrace.project import Project

COLUMNS = {"id": "integer!", "paid": "decimal(10,2)", "state": "string!", "day": "date", "left_at": "timestamp!"}
STILL = 8.0  # seconds, more than two of the intervals in which MariaDB's client looks whether something came
DDL = "id bigint PRIMARY KEY, paid decimal(10,2), state varchar(20) NOT NULL, day date, left_at {}(6) NOT NULL"


class Database:
    """One of the two databases, with the same statements for both."""

    def __init__(self, project: Project, kind: str) -> None:
        self.project, self.kind = project, kind
        self.source = project.source(f"cap_{kind}")
        self.table = self.source.tables[0]

    @contextmanager
    def cursor(self, commit: bool = True):
        with connect(self.project, self.source, autocommit=commit) as cursor:
            yield cursor
            cursor.connection.commit()

    def fill(self, ids: range, state: str = "new") -> None:
        """Rows in transactions of 100."""
        insert = f"INSERT INTO {self.table.origin} VALUES (%s, %s, %s, '2026-02-03', '2026-02-03 04:05:06.123456')"
        with self.cursor(commit=False) as cursor:
            for start in range(ids.start, ids.stop, 100):
                cursor.executemany(insert, [(i, f"{i}.25", state) for i in range(start, min(start + 100, ids.stop))])
                cursor.connection.commit()

    def rows(self) -> dict[int, tuple[Any, ...]]:
        with self.cursor() as cursor:
            cursor.execute(f"SELECT id, paid, state FROM {self.table.origin}")
            return {row[0]: tuple(row) for row in cursor.fetchall()}


def fold(rows: list[dict[str, Any]]) -> dict[int, tuple[Any, ...]]:
    """The latest row per key, in order of position and offset: what a current table must hold."""
    found: dict[str, Any] = {}
    for row in rows:
        if row["op"] == "t":
            found.clear()
        elif row["op"] == "d":
            found.pop(row["key"], None)
        else:
            found[row["key"]] = json.loads(row["after"])
    return {row["id"]: (row["id"], Decimal(row["paid"]), row["state"]) for row in found.values()}


@pytest.fixture(scope="module")
def captured(shared, make_project, make_contract, shared_url) -> Project:
    """Two databases with a row each, captured, beside a source with a wrong password."""
    base = shared("bus", "connect", "source:shop", "source:till")
    shop, till = shared_url(base, "shop"), shared_url(base, "till")
    files = {f"schemas/cap_{t}.yaml": make_contract(f"cap_{t}", COLUMNS, "id", "left_at") for t in ("a", "b", "c")}
    files |= {
        f"lake/sources/cap_{name}.yml": f"kind: {kind}\nconnection:\n  url: '{url}'\n"
        f"tables: {{cap_{t}: {place}.cap_{t}}}\n"
        for name, kind, url, t, place in (
            ("postgresql", "postgresql", shop, "a", "public"),
            ("mariadb", "mariadb", till, "b", "till"),
            ("wrong", "postgresql", shop.replace("SHOP_PASSWORD", "WRONG_PASSWORD"), "c", "public"),
        )
    }
    os.environ["WRONG_PASSWORD"] = "not-it"
    project = make_project(files, on=base)
    assert not project.problems
    for kind, moment in (("postgresql", "timestamptz"), ("mariadb", "datetime")):
        database = Database(project, kind)
        with database.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {database.table.origin} ({DDL.format(moment)})")
        database.fill(range(1, 4), "snapshot")
    topics.ensure(project)
    return project


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request, captured: Project) -> Database:
    return Database(captured, request.param)


@pytest.fixture
def complete(captured, work, until, all_landed) -> Callable[[Database], None]:
    """complete(database): returns when everything committed to it is landed."""

    def wait(database: Database) -> None:
        until(lambda: connectors.ensure(captured), 90, "Connect answers")
        targets = markers.mark(captured, 120, [database.table.name])
        until(lambda: all_landed(captured, targets), 60, f"{database.table.name} landed")

    work(captured)
    return wait


def test_a_wrong_password_is_said_at_the_sources_line_and_the_others_go_on(captured, until) -> None:
    found = {state["source"]: state for state in connectors.ensure(captured)}
    assert found["cap_wrong"]["state"] == "REFUSED"
    assert "cap_wrong.yml:1" in found["cap_wrong"]["error"]
    assert "refuses the user or password" in found["cap_wrong"]["error"]
    assert "not-it" not in str(found)

    def running() -> bool:
        states = {s["source"]: (s["state"], s["tasks"]) for s in connectors.states(captured)}
        return all(states[name] == ("RUNNING", ["RUNNING"]) for name in ("cap_postgresql", "cap_mariadb"))

    until(running, 60, "the other two run")
    with pytest.raises(HeadraceError, match="cap_wrong"):
        markers.mark(captured, 20)


def test_snapshot_and_stream_fold_to_the_table(database, complete, captured, landed) -> None:
    table = database.table.origin
    complete(database)
    with database.cursor(commit=False) as cursor:  # one transaction that touches rows several times
        for number in (10, 11):
            cursor.execute(f"INSERT INTO {table} VALUES ({number}, 1.10, 'a', NULL, '2026-02-03 04:05:06')")
        for state in "bcd":
            cursor.execute(f"UPDATE {table} SET state = '{state}' WHERE id >= 10")
        cursor.execute(f"UPDATE {table} SET state = 'only 11' WHERE id = 11")
        cursor.execute(f"DELETE FROM {table} WHERE id = 10")
        cursor.execute(f"INSERT INTO {table} VALUES (10, NULL, 'again', NULL, '2026-02-03 04:05:06')")
        cursor.execute(f"UPDATE {table} SET paid = 7 WHERE id = 10")
    with database.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET id = 20 WHERE id = 1")  # a key moves
        cursor.execute(f"DELETE FROM {table} WHERE id = 2")
    complete(database)
    rows = landed(captured, database.table.name)
    assert fold(rows) == database.rows()
    assert [row["op"] for row in rows[:3]] == ["r", "r", "r"]
    assert rows[2]["snapshot"] in ("last", "last_in_data_collection")
    assert all(row["epoch"] > 1_700_000_000 for row in rows)
    update = next(row for row in rows if row["op"] == "u")
    assert json.loads(update["before"])["state"] == "a"
    moment = "2026-02-03T04:05:06.123456"
    assert rows[0]["event_time"].isoformat().startswith(moment)
    assert json.loads(rows[0]["after"]) == {
        "id": 1, "paid": "1.25", "state": "snapshot", "day": "2026-02-03Z", "left_at": f"{moment}Z",
    }  # fmt: skip


def test_connect_killed_in_a_burst(complete, captured, landed, on_bus, shared) -> None:
    both = [Database(captured, kind) for kind in ("postgresql", "mariadb")]
    for database in both:
        complete(database)
    platform = shared()
    for start in (1_000, 6_000):
        for database in both:
            database.fill(range(start, start + 2_500), "burst")
        os.kill(int(supervise.states(platform)["connect"]["pid"]), signal.SIGKILL)
        for database in both:
            database.fill(range(start + 2_500, start + 5_000), "burst")
    for database in both:
        complete(database)
        rows = landed(captured, database.table.name)
        keys = [row["key"] for row in rows if row["op"] == "c" and '"burst"' in row["after"]]
        assert len(keys) == len(set(keys)) == 10_000
        assert fold(rows) == database.rows()
        assert len(on_bus(captured, database.table.topic)) == len(rows)


@pytest.mark.parametrize(
    ("database", "fault", "many"),
    [
        ("postgresql", "is killed", 30_000),
        ("mariadb", "is killed", 30_000),
        ("mariadb", "stands still", 150_000),  # more than Debezium takes from its client ahead of time
    ],
    indirect=["database"],
)
def test_connect_inside_one_transaction(fault, many, database, complete, captured, landed, until, shared) -> None:
    """Thousands of rows with one position: of a COPY's log record in PostgreSQL, of a transaction in MariaDB.

    A client of MariaDB that stood still takes its connection for lost and reads the transaction from its begin.
    """
    topic, platform, total = database.table.topic, shared(), 0
    parts = {topic: bus.partitions(captured)[topic]}

    def struck(ids: range) -> bool:
        """Whether Connect was struck when some of a transaction of these rows was sent, and not all of it."""
        complete(database)
        before = sum(bus.ends(captured, parts).values())

        def sent() -> int:  # with what was not committed
            return sum(bus.ends(captured, parts).values()) - before

        rows = ((i, f"{i}.25", fault, "2026-02-03", "2026-02-03 04:05:06") for i in ids)
        with database.cursor(commit=False) as cursor:
            if database.kind == "postgresql":
                with cursor.copy(f"COPY {database.table.origin} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            else:
                cursor.executemany(f"INSERT INTO {database.table.origin} VALUES (%s, %s, %s, %s, %s)", list(rows))
        until(lambda: sent() > 0, 60, "some rows are sent")
        connect_server = int(supervise.states(platform)["connect"]["pid"])
        os.kill(connect_server, signal.SIGKILL if fault == "is killed" else signal.SIGSTOP)
        there = sent()
        if fault == "stands still":
            time.sleep(STILL)
            os.kill(connect_server, signal.SIGCONT)
        return there < len(ids)

    first = 100_000 if fault == "is killed" else 1_000_000
    for more in (many, 2 * many, 4 * many):  # on a busy machine all may be sent before anybody looks
        total, ids = total + more, range(first + total, first + total + more)
        if struck(ids):
            break
    else:
        pytest.fail("always too late to show anything")
    complete(database)
    found = landed(captured, database.table.name)
    keys = [row["key"] for row in found if row["op"] == "c" and f'"{fault}"' in row["after"]]
    # Debezium 3.7 may send PostgreSQL's last row before the kill again; 3.6 and older lost the rest of its log record.
    assert len(keys) == len(set(keys)) == total
    assert fold(found) == database.rows()


def test_a_truncate_is_landed(database, complete, captured, landed) -> None:
    complete(database)
    with database.cursor() as cursor:
        cursor.execute(f"TRUNCATE TABLE {database.table.origin}")
    database.fill(range(1, 3), "after")
    complete(database)
    rows = landed(captured, database.table.name)
    assert [row["op"] for row in rows].count("t") == 1
    assert fold(rows) == database.rows()


def test_a_slot_that_was_lost_stops_its_source_and_no_other(complete, captured, until) -> None:
    database = Database(captured, "postgresql")
    complete(database)
    slot = debezium.config(captured, database.source, 1)["slot.name"]
    with httpx.Client(base_url=captured.addresses.connect, timeout=30) as client, database.cursor() as cursor:

        def free() -> bool:
            cursor.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
            return cursor.fetchone() == (False,)

        client.put(f"/connectors/{database.source.name}/stop").raise_for_status()
        until(free, 30, "the slot is free")
        cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
        database.fill(range(9000, 9010), "nobody saw this")  # no slot keeps it
        connectors.ensure(captured)

        def states() -> dict[str, dict[str, Any]]:
            return {state["source"]: state for state in connectors.states(captured)}

        def refused(why: str) -> bool:
            state = states()["cap_postgresql"]
            return state["state"] == "FAILED" and why in state["error"]

        until(lambda: refused("no longer available"), 90, "the connector refuses to go on")
        assert states()["cap_mariadb"]["state"] == "RUNNING"
