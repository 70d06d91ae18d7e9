"""Certificates after kill -9 of each database, of Connect and of a landing worker, in the middle of their work."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pymysql
import pytest

from headrace.audit.certificate import audit
from headrace.errors import HeadraceError
from headrace.ingest import bus, connectors, controls, epochs, topics
from headrace.ingest.database import connect
from headrace.lake import landing
from headrace.local import supervise
from headrace.project import Project
from tests.engine.ingest.conftest import Worker

MANY = 50_000
SOME = 1000  # records on a topic that show that work goes on: the end of a transaction takes an offset, too
ROWS = {"id": "integer!", "n": "integer", "note": "string"}
PAIRS = {"town": "string!", "nr": "integer!", "n": "integer"}
SERVERS = {"postgresql": "shop", "mariadb": "till"}
SCHEMAS = {"postgresql": "public", "mariadb": "till"}
NUMBERS = {"postgresql": "generate_series(1, {}) AS s (seq)", "mariadb": "seq_1_to_{}"}


class Service:
    """A service's database with two tables, and the same statements for both kinds."""

    def __init__(self, project: Project, kind: str) -> None:
        self.project, self.kind, self.server = project, kind, f"source-{SERVERS[kind]}"
        self.source = project.source(f"kil_{kind}")
        self.rows, self.pairs = (project.table(f"kil_{kind}_{name}") for name in ("rows", "pairs"))

    def cursor(self, commit: bool = True) -> AbstractContextManager[Any]:
        return connect(self.project, self.source, autocommit=commit)

    def make(self) -> None:
        numbers = NUMBERS[self.kind]
        with self.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {self.rows.origin} (id bigint PRIMARY KEY, n bigint, note varchar(500))")
            cursor.execute(
                f"CREATE TABLE {self.pairs.origin} (town varchar(40), nr bigint, n bigint, PRIMARY KEY (town, nr))"
            )
            rows = f"SELECT seq, seq, repeat('note ', 80) FROM {numbers.format(MANY)}"
            cursor.execute(f"INSERT INTO {self.rows.origin} {rows}")
            pairs = f"SELECT 'Zürich', seq, seq FROM {numbers.format(500)}"
            cursor.execute(f"INSERT INTO {self.pairs.origin} {pairs}")

    def answers(self) -> bool:
        with self.cursor() as cursor:
            cursor.execute("SELECT 1")
            return True

    def sent(self) -> int:
        """Records on the topic of `rows`, with what was not committed and what came twice."""
        topic = self.rows.topic
        return sum(bus.ends(self.project, {topic: bus.partitions(self.project)[topic]}).values())

    def landed(self) -> int:
        return sum(landing.positions(self.project, self.rows.name).values())

    def write(self, over: threading.Event) -> None:
        """Transactions on both tables until it is over, whatever becomes of the server under them."""
        chance, number = random.Random(self.kind), MANY
        while not over.is_set():
            try:
                with self.cursor(commit=False) as cursor:
                    while not over.is_set():
                        number += 10
                        self.transaction(cursor, chance, number)
                        cursor.connection.rollback() if chance.random() < 0.1 else cursor.connection.commit()
                        over.wait(0.05)
            except (HeadraceError, psycopg.Error, pymysql.err.MySQLError, OSError):
                over.wait(0.1)  # it is down: try again

    def transaction(self, cursor: Any, chance: random.Random, number: int) -> None:
        rows, pairs, old = self.rows.origin, self.pairs.origin, chance.randrange(1, MANY - 50)
        cursor.executemany(f"INSERT INTO {rows} VALUES (%s, %s, %s)", [(number + i, i, "new") for i in range(5)])
        cursor.execute(f"UPDATE {rows} SET n = n + 1 WHERE id BETWEEN {old} AND {old + 40}")
        cursor.execute(f"UPDATE {rows} SET id = -id WHERE id = {number}")
        cursor.execute(f"DELETE FROM {rows} WHERE id IN ({old}, {number + 1})")
        cursor.execute(f"UPDATE {pairs} SET n = {number}, town = 'Genève' WHERE town = 'Zürich' AND nr = {old % 500}")
        cursor.execute(f"UPDATE {pairs} SET town = 'Zürich' WHERE town = 'Genève' AND nr = {old % 499}")


@pytest.fixture(scope="module")
def attacked(shared, make_project, make_contract, shared_url) -> Project:
    """Two databases of many rows that nobody has read yet."""
    base = shared("bus", "connect", "postgres", "source:shop", "source:till")
    files: dict[str, str] = {}
    for kind, server in SERVERS.items():
        files[f"schemas/kil_{kind}_rows.yaml"] = make_contract(f"kil_{kind}_rows", ROWS, "id")
        files[f"schemas/kil_{kind}_pairs.yaml"] = make_contract(f"kil_{kind}_pairs", PAIRS, "town, nr")
        files[f"lake/sources/kil_{kind}.yml"] = (
            f"kind: {kind}\nconnection: {{url: '{shared_url(base, server)}'}}\ntables:\n"
            f"  kil_{kind}_rows: {SCHEMAS[kind]}.kil_rows\n  kil_{kind}_pairs: {SCHEMAS[kind]}.kil_pairs\n"
        )
    project = make_project(files, on=base)
    assert not project.problems, project.problems
    for kind in SERVERS:
        Service(project, kind).make()
    topics.ensure(project)
    return project


@pytest.fixture(scope="module")
def services(attacked) -> list[Service]:
    return [Service(attacked, kind) for kind in SERVERS]


@pytest.fixture(scope="module")
def workers(attacked, work_module) -> list[Worker]:
    """The landing workers so far; the last one runs."""
    return [work_module(attacked)]


@pytest.fixture
def kill(shared) -> Callable[..., None]:
    """kill(name, …): kill -9 of servers of the shared platform, which its supervisor starts again."""

    def now(*names: str) -> None:
        states = supervise.states(shared())
        for name in names:
            os.kill(int(states[name]["pid"]), signal.SIGKILL)

    return now


@pytest.fixture
def more(attacked, services, until) -> Callable[[], list[int]]:
    """more(): returns when every source sends again, with what each had sent before."""

    def sends() -> list[int]:
        before = [service.sent() for service in services]

        def again() -> bool:  # as the platform's pulse does
            connectors.ensure(attacked)
            return all(s.sent() > b + SOME for s, b in zip(services, before, strict=True))

        until(again, 120, "every source sends more")
        return before

    return sends


def unclean(services: list[Service]) -> list[Any]:
    found = [one for service in services for one in audit(service.project, service.source, timeout=120)]
    assert len(found) == 4
    return [(one.name, one.verdict, one.note, one.differences()) for one in found if one.verdict != "proven"]


def test_killed_in_the_middle_of_a_snapshot(attacked, services, workers, work_module, kill, until) -> None:
    killed: dict[str, int] = {}

    def struck() -> bool:  # each database in the middle of its own snapshot: they do not begin at the same moment
        for service in services:
            if service.server not in killed and (sent := service.sent()) > SOME:
                kill(service.server)
                killed[service.server] = sent
        return len(killed) == len(services)

    connectors.ensure(attacked)
    until(struck, 90, "both snapshots have begun")
    assert max(killed.values()) < MANY, "killed too late to show anything"
    until(lambda: all(s.landed() > 0 for s in services), 60, "some rows are landed")
    workers[-1].kill()
    workers.append(work_module(attacked))
    until(lambda: all(s.answers() for s in services), 60, "both databases are back")
    before = [service.sent() for service in services]

    def sent() -> list[int]:  # of the next attempt
        return [s.sent() - b for s, b in zip(services, before, strict=True)]

    until(lambda: connectors.ensure(attacked) and max(sent()) > SOME, 120, "a snapshot begins again")
    kill("connect")
    assert any(SOME < number < MANY for number in sent()), "killed too late to show anything"
    begun = {s.kind: epochs.wanted(controls.read(attacked), s.source) for s in services}

    def complete() -> bool:  # as the platform's pulse does
        connectors.ensure(attacked)
        return not epochs.settle(attacked, controls.read(attacked))

    until(complete, 180, "the snapshots are complete")
    new = {s.kind for s in services if epochs.wanted(controls.read(attacked), s.source) > begun[s.kind]}
    assert new == {"postgresql"}, "the snapshot that was begun again does not fit its slot, and was taken anew"
    assert unclean(services) == []


def test_killed_in_the_middle_of_a_stream(attacked, services, workers, work_module, kill, more, until) -> None:
    over = threading.Event()
    writers = [threading.Thread(target=service.write, args=(over,)) for service in services]
    for writer in writers:
        writer.start()
    try:
        landed = [s.landed() for s in services]
        more()
        until(lambda: all(s.landed() > before for s, before in zip(services, landed, strict=True)), 60, "changes land")
        workers[-1].kill()
        workers.append(work_module(attacked))
        kill(*(s.server for s in services))
        until(lambda: all(s.answers() for s in services), 60, "both databases are back")
        more()
        kill("connect")
        more()
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert unclean(services) == []
    changed = [s.landed() - before for s, before in zip(services, landed, strict=True)]
    assert min(changed) > 3 * SOME
