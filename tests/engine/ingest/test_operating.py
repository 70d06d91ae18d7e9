"""Tables and sources that are paused, taken again, or whose log grows, while others flow: on real databases."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import duckdb
import httpx
import pytest

from headrace.audit import flow, lake_side
from headrace.audit.canonical import Compared
from headrace.errors import HeadraceError
from headrace.ingest import connectors, controls, database, epochs, lag, limits, markers, paused, topics
from headrace.ingest.layout import Layout
from headrace.ingest.resync import resync
from headrace.lake import landing
from headrace.local import supervise
from headrace.project import Project, Table
from headrace.project.limits import PAUSE, LogLimits
from tests.engine.ingest.conftest import Worker

MB = 10**6
PLACES = {"postgresql": "public", "mariadb": "till"}


class Service:
    """A source's database of two tables, `rows` and `more`, with the same statements for both kinds."""

    def __init__(self, project: Project, kind: str) -> None:
        self.project, self.kind = project, kind
        self.source = project.source(f"ope_{kind}")
        self.rows, self.more = self.source.tables

    def cursor(self) -> AbstractContextManager[Any]:
        return database.connect(self.project, self.source)

    def run(self, *statements: str) -> None:
        with self.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def unseen(self, *statements: str) -> None:
        """Runs statements on `rows` that its log does not tell the connector of."""
        publication = topics.own_name(self.project, self.source)
        if self.kind == "postgresql":
            self.run(f"ALTER PUBLICATION {publication} DROP TABLE {self.rows.origin}", *statements)
            self.run(f"ALTER PUBLICATION {publication} ADD TABLE {self.rows.origin}")
        else:
            self.run("SET SESSION sql_log_bin = 0", *statements)

    def fill(self, table: Table, ids: range, note: str) -> None:
        values = ", ".join(f"({i}, '{note}')" for i in ids)
        self.run(f"INSERT INTO {table.origin} VALUES {values}")

    def content(self, table: Table) -> dict[int, str]:
        with self.cursor() as cursor:
            cursor.execute(f"SELECT id, note FROM {table.origin}")
            return {int(row[0]): str(row[1]) for row in cursor.fetchall()}

    def log_grows(self) -> None:
        """Some 20 MB of log in which nothing that we capture changes."""
        text = "text" if self.kind == "postgresql" else "longtext"
        with self.cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {self.rows.origin}_heap (v {text})")
            for _ in range(20):
                cursor.execute(f"INSERT INTO {self.rows.origin}_heap VALUES (%s)", ("".join(map(str, range(200_000))),))
            cursor.execute("CHECKPOINT" if self.kind == "postgresql" else "FLUSH BINARY LOGS")


@pytest.fixture(scope="module")
def yard(shared, make_project, make_contract, shared_url) -> Project:
    base = shared("bus", "connect", "source:shop", "source:till")
    columns = {"id": "integer!", "note": "string"}
    files = {}
    for kind, server in (("postgresql", "shop"), ("mariadb", "till")):
        names = [f"ope_{kind}_{name}" for name in ("rows", "more")]
        tables = ", ".join(f"{name}: {PLACES[kind]}.{name}" for name in names)
        url = shared_url(base, server)
        files |= {f"schemas/{name}.yaml": make_contract(name, columns, "id") for name in names}
        files[f"lake/sources/ope_{kind}.yml"] = f"kind: {kind}\nconnection:\n  url: '{url}'\ntables: {{{tables}}}\n"
    project = make_project(files, on=base)
    assert not project.problems
    for kind in PLACES:
        service = Service(project, kind)
        for table in service.source.tables:
            service.run(f"CREATE TABLE {table.origin} (id bigint PRIMARY KEY, note varchar(40))")
            service.fill(table, range(10), "first")
    topics.ensure(project)
    return project


@pytest.fixture(params=["postgresql", "mariadb"])
def service(request, yard) -> Service:
    return Service(yard, request.param)


@pytest.fixture
def shop(yard) -> Service:
    return Service(yard, "postgresql")


@pytest.fixture(scope="module")
def worker(yard, until) -> Iterator[Worker]:
    """A landing worker and connectors for all tests of this file."""
    started = Worker(yard)
    until(lambda: connectors.ensure(yard), 90, "Connect answers")
    yield started
    started.stop()


@pytest.fixture
def arrive(yard, worker, until, all_landed) -> Callable[..., None]:
    """arrive(table, …): returns when everything committed to these tables is landed; a worker runs meanwhile."""

    def wait(*tables: Table) -> None:
        targets = markers.mark(yard, 60, [t.name for t in tables])
        until(lambda: all_landed(yard, targets), 60, f"{tables} landed")

    return wait


@pytest.fixture
def folded(yard) -> Callable[[Table], dict[int, str]]:
    """folded(table): what its current table must hold, folded from landing by the audit's own code."""

    def fold(table: Table) -> dict[int, str]:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            until = landing.positions(yard, table.name)
            found = lake_side.fold(connection, yard, table, Compared(table.contract.columns), until)
            keys = {int(key[0]) for key in found.rows(set(range(100_000)))}
            query = "SELECT after FROM landed WHERE op <> 'm' ORDER BY epoch, position, partition, \"offset\""
            notes = [json.loads(after) for (after,) in connection.execute(query).fetchall() if after]
            latest = {row["id"]: row["note"] for row in notes}
            return {key: latest[key] for key in keys}

    return fold


def note(project: Project, table: Table) -> str:
    return epochs.note(project, controls.read(project), table)


def test_a_paused_table_stands_still_while_another_flows(shop, yard, arrive, landed, worker, until) -> None:
    arrive(*shop.source.tables)
    paused.pause(yard, shop.source, shop.more, "a test")
    until(lambda: f"paused: {shop.more.topic}" in worker.log.read_text(), 30, "landing has taken notice")
    started_now = Layout(yard)
    started_now.look()
    assert started_now.paused == {shop.more.topic}, "it survives restarts"
    before = landing.positions(yard, shop.more.name)
    for table in (shop.rows, shop.more):
        shop.fill(table, range(100, 120), "meanwhile")
    arrive(shop.rows)
    targets = markers.mark(yard, 60, [shop.rows.name, shop.more.name])
    flow._until(yard, targets, flow.time.monotonic() + 30, "landing")  # `wait` does not hang
    lag_of = {one.name: one for one in flow.measure(yard, targets, controls.read(yard))}
    assert (lag_of[shop.rows.name].behind, lag_of[shop.rows.name].paused) == (0, False)
    assert lag_of[shop.more.name].behind >= 20
    assert "a test" in lag_of[shop.more.name].note
    assert landing.positions(yard, shop.more.name) == before
    paused.resume(yard, shop.source, shop.more)
    arrive(shop.more)
    rows = [row for row in landed(yard, shop.more.name) if row["op"] == "c"]
    assert len(rows) == len({row["key"] for row in rows}) == 20


def test_a_paused_source_leaves_its_database_and_misses_nothing(shop, yard, arrive, folded, until) -> None:
    till = Service(yard, "mariadb")
    arrive(*shop.source.tables, *till.source.tables)
    paused.pause(yard, shop.source, None)
    connectors.hold(yard, shop.source)
    with shop.cursor() as cursor:

        def left() -> bool:
            cursor.execute(
                "SELECT active FROM pg_replication_slots WHERE slot_name = %s", (topics.own_name(yard, shop.source),)
            )
            return cursor.fetchone() == (False,)

        until(left, 30, "the connector has left the database")
    states = {state["source"]: state["state"] for state in connectors.ensure(yard)}  # as `up` does after a restart
    assert states["ope_postgresql"] == connectors.PAUSED
    shop.fill(shop.rows, range(200, 210), "while paused")
    till.fill(till.rows, range(200, 210), "while paused")
    arrive(till.rows, shop.rows)  # nobody waits for the one that is paused
    assert folded(till.rows) == till.content(till.rows)
    assert 205 not in folded(shop.rows)
    paused.resume(yard, shop.source, None)
    connectors.ensure(yard)
    arrive(shop.rows)
    assert folded(shop.rows) == shop.content(shop.rows)


def test_a_table_is_taken_again_beside_its_stream(service, yard, arrive, folded) -> None:
    rows = service.rows
    arrive(*service.source.tables)
    service.unseen(
        f"DELETE FROM {rows.origin} WHERE id < 5",
        f"INSERT INTO {rows.origin} VALUES (50, 'unseen')",
        f"UPDATE {rows.origin} SET note = 'unseen' WHERE id = 7",
    )
    arrive(rows)
    assert folded(rows) != service.content(rows), "the log told nobody"
    asked: list[str] = []

    def flows_on(text: str) -> None:  # called between the request and its end
        asked.append(note(yard, rows))
        service.fill(rows, range(1000, 1100), "flows on")
        service.run(
            f"UPDATE {rows.origin} SET note = 'changed' WHERE id = 8", f"DELETE FROM {rows.origin} WHERE id = 9"
        )
        service.fill(service.more, range(1000, 1010), "flows on")

    resync(yard, service.source, rows, 60, flows_on)
    assert "is not complete" in asked[0]
    assert note(yard, rows) == ""
    arrive(*service.source.tables)
    assert folded(rows) == service.content(rows)
    assert folded(service.more) == service.content(service.more)
    service.unseen(f"DELETE FROM {rows.origin}")  # an empty table has no row that could end a snapshot
    resync(yard, service.source, rows, 60)
    arrive(rows)
    assert folded(rows) == service.content(rows) == {}


def test_a_table_is_whole_also_when_the_command_and_connect_are_killed(yard, arrive, folded, until, shared) -> None:
    both = [Service(yard, kind) for kind in PLACES]
    for service in both:
        service.fill(service.more, range(5000, 35_000), "many")  # several chunks
    arrive(*(service.more for service in both))
    assert epochs.settle(yard, controls.read(yard)) == []
    for service in both:
        asked = epochs.ask(yard, service.source, service.more, controls.read(yard))  # killed behind its first step …
        assert "is not complete" in note(yard, service.more)
        again = epochs.ask(yard, service.source, service.more, controls.read(yard))  # … and run again
        assert again.id == asked.id
        database.signal(yard, service.source, service.more, again.id)
        service.run(f"DELETE FROM {service.more.origin} WHERE id < 5100")
    seen = lambda service: epochs._of_signal(yard, service.source, _id(yard, service))  # noqa: E731
    until(lambda: all(seen(service) for service in both), 30, "the connectors have been asked")
    os.kill(int(supervise.states(shared())["connect"]["pid"]), signal.SIGKILL)
    for service in both:
        service.fill(service.more, range(40_000, 40_100), "while Connect is away")
    until(lambda: epochs.settle(yard, controls.read(yard)) == [], 90, "whole")
    assert not any(note(yard, service.more) for service in both)
    arrive(*(service.more for service in both))
    for service in both:
        assert folded(service.more) == service.content(service.more)


def _id(project: Project, service: Service) -> str:
    return controls.read(project)[epochs.SIGNAL, service.source.name, service.more.name]["id"]


def test_a_source_whose_log_was_lost_is_taken_again_and_every_kill_is_made_good(
    service, yard, arrive, folded, monkeypatch, until
) -> None:
    rows = service.rows
    service.run(f"DELETE FROM {rows.origin}")
    service.fill(rows, range(10), "second")
    arrive(*service.source.tables)
    with httpx.Client(base_url=yard.addresses.connect, timeout=30) as connect:
        connect.put(f"/connectors/{service.source.name}/stop").raise_for_status()
    until(lambda: _stopped(yard, service), 30, "the connector is stopped")
    database.drop_slot(yard, service.source)
    service.unseen(f"DELETE FROM {rows.origin} WHERE id < 5", f"DELETE FROM {service.more.origin}")

    call = connectors._call
    for step in (("DELETE", "offsets"), ("PUT", "config"), ("PUT", "resume")):

        def killed(client: Any, method: str, path: str, step=step, **more: Any) -> Any:
            if (method, path.rpartition("/")[2]) == step:
                raise KeyboardInterrupt
            return call(client, method, path, **more)

        monkeypatch.setattr(connectors, "_call", killed)
        with pytest.raises(KeyboardInterrupt):
            resync(yard, service.source, None, 60)
        assert "is not complete" in note(yard, rows)
    monkeypatch.undo()
    connectors.ensure(yard)  # the pulse does it
    until(lambda: not _open(yard, service), 60, "the snapshot is complete")
    assert note(yard, rows) == ""
    arrive(*service.source.tables)
    assert folded(rows) == service.content(rows)
    assert folded(service.more) == service.content(service.more) == {}
    service.fill(service.more, range(20, 30), "goes on")
    arrive(service.more)
    assert folded(service.more) == service.content(service.more)


def test_an_idle_source_does_not_hold_the_log(shop, yard, arrive, until) -> None:
    arrive(*shop.source.tables)
    before = lag.measure(yard, shop.source)
    shop.log_grows()

    def small() -> bool:
        shop.run("CHECKPOINT")
        held = lag.measure(yard, shop.source).held
        return held is not None and held < 5 * MB

    until(small, 60, "heartbeats have moved the slot past 20 MB that nobody captures")
    found = lag.measure(yard, shop.source)
    assert before.wrong == found.wrong == ""
    assert found.seconds is not None
    assert found.seconds < 30


def test_mariadbs_log_is_measured_from_what_came(yard, arrive, until) -> None:
    till = Service(yard, "mariadb")
    arrive(*till.source.tables)
    connectors.hold(yard, till.source)
    before = lag.measure(yard, till.source)
    till.log_grows()
    after = lag.measure(yard, till.source)
    assert before.held is not None
    assert after.held is not None
    assert after.held - before.held > 10 * MB
    connectors.ensure(yard)
    until(lambda: (lag.measure(yard, till.source).held or MB) < MB, 60, "a heartbeat came through")


def test_a_log_above_its_limit_is_let_go(shop, yard, arrive, folded, until) -> None:
    arrive(*shop.source.tables)
    until(lambda: not _open(yard, shop), 60, "no snapshot is under way")
    limited = replace(shop.source, limits=LogLimits(MB, 10 * MB, PAUSE))
    connectors.hold(yard, shop.source)  # as if it could not keep up
    shop.log_grows()
    assert "keeps" in limits.warning(limited, lag.measure(yard, shop.source))
    shop.run(f"DELETE FROM {shop.rows.origin} WHERE id >= 100", f"UPDATE {shop.rows.origin} SET note = 'unseen'")
    assert shop.source.name in limits.act(yard, limited)
    with shop.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", (topics.own_name(yard, shop.source),)
        )
        assert cursor.fetchone() == (0,), "nothing holds the log any more"
    assert "limits" in paused.read(yard).found[shop.source.name, ""].text
    with pytest.raises(HeadraceError, match="is paused"):
        resync(yard, shop.source, None, 5)
    paused.resume(yard, shop.source, None)
    connectors.ensure(yard)
    until(lambda: not _open(yard, shop), 60, "the new snapshot is complete")
    arrive(*shop.source.tables)
    assert folded(shop.rows) == shop.content(shop.rows)
    assert limits.act(yard, limited) == ""


def _stopped(project: Project, service: Service) -> bool:
    return {s["source"]: s["state"] for s in connectors.states(project)}[service.source.name] == "STOPPED"


def _open(project: Project, service: Service) -> list[epochs.Open]:
    """Snapshots of the source that are not complete. A marker shows the end of one sooner than the next heartbeat."""
    database.mark(project, service.source, "")
    return [one for one in epochs.settle(project, controls.read(project)) if one.source == service.source.name]
