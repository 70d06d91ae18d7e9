"""Pulls from a real Cassandra: rows change, go and come again, pull and node are killed. Each change comes once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.audit import listing, verdict
from headrace.audit.certificate import Certificate
from headrace.errors import HeadraceError
from headrace.ingest import bus, topics
from headrace.local import probe, supervise
from headrace.project import Project, adding, inspect
from headrace.project.propose import propose
from headrace.pulls.pull import pull
from headrace.sources import health
from headrace.sources.ask import ask
from headrace.sql.validity import compile_check
from tests.engine.ingest.conftest import Worker, workers

ORDERS = {
    "region": "string!", "id": "integer!", "total": "decimal(10,2)", "note": "string", "tags": "array",
    "parts": "object", "currency": "string", "placed_at": "timestamp",
}  # fmt: skip
ODD = {"id": "integer!", "text": "string", "total": "decimal(38,2)", "at": "timestamp", "day": "date", "n": "integer"}
MANY = {"part": "integer!", "id": "integer!", "name": "string"}
TABLES = [
    "cass_orders (region text, id int, currency text static, total decimal, note text, tags set<text>,"
    " parts map<text, int>, placed_at timestamp, PRIMARY KEY (region, id))",
    "cass_odd (id bigint PRIMARY KEY, text text, total decimal, at timestamp, day date, n varint)",
    "cass_many (part int, id int, name text, PRIMARY KEY (part, id))",
    "cass_keyed (id int, line int, PRIMARY KEY (id, line))",
    "cass_lacks (id int PRIMARY KEY)",
    "cass_good (id int PRIMARY KEY, name text)",
]
WRONG = ("cass_gone", "cass_keyed", "cass_lacks", "cass_nowhere", "cass_good")


@pytest.fixture(scope="module")
def base(shared) -> Project:
    return shared("bus", "source:ring")


@pytest.fixture(scope="module")
def ring(base) -> Callable[..., Any]:
    """ring(statement, …) runs CQL, on a session of its own: a test kills the server, and old sessions with it."""

    def run(statement: str, *values: Any) -> Any:
        user = ("headrace", base.addresses.secret("RING_PASSWORD"))
        with probe.cassandra_session(base.addresses.source_port("ring"), user) as session:
            return session.execute(statement, values or None)

    for table in TABLES:
        run(f"CREATE TABLE ring.{table}")
    return run


@pytest.fixture(scope="module")
def project(base, ring, make_project, make_contract, shared_url) -> Project:
    url = shared_url(base, "ring")

    def source(*lines: str, at: str = url) -> str:
        return "\n".join(["kind: cassandra", f"connection: {{url: '{at}'}}", "tables:", *(f"  {x}" for x in lines), ""])

    files = {
        "lake/sources/cass_shop.yml": source("cass_orders: ring.cass_orders"),
        "lake/sources/cass_strange.yml": source("cass_odd: ring.cass_odd"),
        "lake/sources/cass_big.yml": source("cass_many: ring.cass_many"),
        "lake/sources/cass_wrong.yml": source(
            "cass_gone: ring.cass_goods", "cass_keyed: ring.cass_keyed", "cass_lacks: ring.cass_lacks",
            "cass_nowhere: rings.nowhere", "cass_good: ring.cass_good",
        ),
        "lake/sources/cass_locked.yml": source("cass_locked: ring.x", at=url.replace("RING", "CASS_LOCKED")),
        "schemas/cass_orders.yaml": make_contract("cass_orders", ORDERS, "region, id", "placed_at"),
        "schemas/cass_odd.yaml": make_contract("cass_odd", ODD, "id"),
        "schemas/cass_many.yaml": make_contract("cass_many", MANY, "part, id"),
    }  # fmt: skip
    for name in (*WRONG, "cass_locked"):
        files[f"schemas/{name}.yaml"] = make_contract(name, {"id": "integer!", "name": "string!"}, "id")
    found = make_project(files, on=base)
    assert not found.problems
    topics.ensure(found)
    return found


@pytest.fixture(scope="module")
def worker(project) -> Iterator[Worker]:
    """A landing worker of the project."""
    with workers() as start:
        yield start(project)


def count(project: Project, source: str) -> int:
    return sum(pull(project, project.source(source))["tables"].values())


def certificate(project: Project, source: str) -> Certificate:
    (found,) = listing.audit(project, project.source(source), timeout=40)
    return found


def changes(records: list[Any]) -> list[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    """(op, key, after) of each record, in the order of the pulls."""
    read = sorted((json.loads(r.value()) | {"key": json.loads(r.key())} for r in records), key=_position)
    return [(one["op"], one["key"], one["after"]) for one in read]


def _position(change: dict[str, Any]) -> tuple[int, int]:
    return change["source"]["pull"], change["source"]["row"]


def test_every_change_comes_once_whatever_time_its_write_says(project, ring, on_bus, worker, landed, until) -> None:
    insert = "INSERT INTO ring.cass_orders (region, id, total, note, tags, parts, placed_at) VALUES "
    ring(insert + "('ch', 1, 1.10, 'é', {'b', 'a'}, {'x': 1}, '2026-01-01T00:00:00.123Z')")
    ring(insert + "('ch', 2, 2.00, null, null, null, '2026-01-02')")
    ring("INSERT INTO ring.cass_orders (region, id) VALUES ('de', 1)")  # nothing but a key
    ring("UPDATE ring.cass_orders SET currency = 'CHF' WHERE region = 'ch'")
    assert count(project, "cass_shop") == 3
    assert count(project, "cass_shop") == 0
    first = {"region": "ch", "id": 1, "currency": "CHF", "total": "1.10", "note": "é", "tags": ["a", "b"]}
    first |= {"parts": {"x": 1}, "placed_at": "2026-01-01T00:00:00.123000Z"}
    sent = {(key["region"], key["id"]): after for _, key, after in changes(on_bus(project, "cass_shop.cass_orders"))}
    assert sent["ch", 1] == first
    assert sent["de", 1] == dict.fromkeys(first) | {"region": "de", "id": 1}
    # Behind every write so far by its own time; a static column of all rows; an element; deletions of three kinds.
    ring("INSERT INTO ring.cass_orders (region, id, note) VALUES ('fr', 1, 'late') USING TIMESTAMP 1000")
    ring("UPDATE ring.cass_orders SET currency = 'EUR' WHERE region = 'ch'")
    ring("UPDATE ring.cass_orders SET parts['y'] = 2 WHERE region = 'ch' AND id = 1")
    ring("DELETE FROM ring.cass_orders WHERE region = 'de'")
    assert count(project, "cass_shop") == 4
    ring("UPDATE ring.cass_orders USING TTL 1 SET note = 'soon gone' WHERE region = 'ch' AND id = 2")
    count(project, "cass_shop")  # with the note, or without it when we were slow
    gone = "SELECT note FROM ring.cass_orders WHERE region = 'ch' AND id = 2"
    until(lambda: ring(gone).one()[0] is None, 20, "a note that is too old")
    ring("INSERT INTO ring.cass_orders (region, id, note) VALUES ('de', 1, 'again')")
    ring("DELETE FROM ring.cass_orders WHERE region = 'fr' AND id = 1")
    count(project, "cass_shop")
    assert count(project, "cass_shop") == 0
    sent = changes(on_bus(project, "cass_shop.cass_orders"))
    found = until(lambda: len(r := landed(project, "cass_orders")) >= len(sent) and r, 40, "all landed")
    latest = {row["key"]: row["after"] and json.loads(row["after"]) for row in found}  # in order of positions
    left = {(row["region"], row["id"]): (row["note"], row["currency"]) for row in latest.values() if row}
    assert left == {("ch", 1): ("é", "EUR"), ("ch", 2): (None, "EUR"), ("de", 1): ("again", None)}
    assert latest['{"region":"fr","id":1}'] is None
    assert latest['{"region":"ch","id":1}']["parts"] == {"x": 1, "y": 2}
    assert [row["op"] for row in found if row["key"] == '{"region":"de","id":1}'] == ["u", "d", "u"]
    ring("UPDATE ring.cass_orders SET note = 'not pulled' WHERE region = 'ch' AND id = 1")
    proof = certificate(project, "cass_shop")
    assert (proof.verdict, proof.summary()["rows"]) == (verdict.PROVEN, 3)
    assert proof.note.startswith("compared with the listing of pull ")


def test_odd_values_go_to_quarantine_and_the_rest_goes_on(project, ring, quarantined, landed, worker, until) -> None:
    ring("INSERT INTO ring.cass_odd (id, text, total, at) VALUES (1, 'well', 12.50, '2026-01-01')")
    ring("INSERT INTO ring.cass_odd (id, total) VALUES (2, 1E-2147483647)")
    ring(f"INSERT INTO ring.cass_odd (id, total) VALUES (3, blob_as_decimal(0x00000001{'7f' * 3000}))")
    ring("INSERT INTO ring.cass_odd (id, at) VALUES (4, 9223372036854775807)")
    ring("INSERT INTO ring.cass_odd (id, day) VALUES (5, 4294967295)")
    ring("INSERT INTO ring.cass_odd (id, n) VALUES (6, 9223372036854775808)")
    ring("INSERT INTO ring.cass_odd (id, text) VALUES (7, %s)", "x" * 10_500_000)
    assert count(project, "cass_strange") == 7
    assert count(project, "cass_strange") == 0
    bad = until(lambda: len(r := quarantined(project, "cass_odd")) == 6 and r, 40, "six rows in quarantine")
    reasons = " ".join(row["reason"] for row in bad)
    for said in (
        "'1E-2147483647'",
        "decimal(38,2)",
        "ms since 1970",
        "'2147483647'",
        "'9223372036854775808'",
        "oversize",
    ):
        assert said in reasons
    good = until(lambda: [r for r in landed(project, "cass_odd") if r["after"]], 40, "the good row")
    assert [json.loads(row["after"])["total"] for row in good] == ["12.50"]
    proof = certificate(project, "cass_strange")
    assert (proof.verdict, proof.landed and len(proof.landed.quarantined)) == (verdict.PROVEN, 6)


def test_wrong_tables_are_named_and_the_good_one_is_pulled(project, ring, on_bus) -> None:
    ring("INSERT INTO ring.cass_good (id, name) VALUES (1, 'good')")
    with pytest.raises(HeadraceError) as caught:
        pull(project, project.source("cass_wrong"))
    said = {problem.place.line: (problem.message, problem.hint) for problem in caught.value.problems if problem.place}
    assert said[4] == ("there is no table ring.cass_goods in source 'cass_wrong'", "did you mean 'cass_good'?")
    assert said[5] == ("the key of ring.cass_keyed is id, line, its contract says id", "primaryKey: true   at id, line")
    assert said[6] == ("table ring.cass_lacks of the source has no column name", "it has: id")
    assert said[7] == ("there is no keyspace 'rings' in source 'cass_wrong'", "did you mean 'ring'?")
    assert [after for _, _, after in changes(on_bus(project, "cass_wrong.cass_good"))] == [{"id": 1, "name": "good"}]


def test_wrong_credentials_are_said_without_them(project, ring, monkeypatch) -> None:
    monkeypatch.setenv("CASS_LOCKED_PASSWORD", "wr0ng/password")
    source = project.source("cass_locked")
    with pytest.raises(HeadraceError, match=r"connecting: .*(credentials|[Aa]uthentication)") as caught:
        pull(project, source)
    assert (caught.value.problems[0].place or source.place).path.name == "cass_locked.yml"
    assert "wr0ng" not in str(caught.value)
    (row,) = health.check(project, (source,))
    assert row["state"] == "FAILED" and "cass_locked.yml" in row["wrong"]


class Slices:
    """A pull by the command line that runs for slices of time, until so many records are written.

    Those that end a transaction count, too: `more` must be greater than the few of them.
    """

    def __init__(self, project: Project, source: str, topic: str, more: int) -> None:
        self.project, self.topic = project, topic
        headrace = str(Path(sys.executable).with_name("headrace"))
        command = [headrace, "-C", str(project.root), "source", "pull", source]
        goal = self.written() + more
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # It stands still while we look: however quick the machine, it can't end between.
        while self.written() < goal and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            self.process.send_signal(signal.SIGSTOP)

    def written(self) -> int:  # counts uncommitted records too
        return sum(bus.ends(self.project, {self.topic: self.project.settings.partitions}).values())

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        said = self.process.communicate(timeout=120)[1]
        return self.process.returncode, said


def test_killed_pulls_and_a_killed_node_lose_and_double_nothing(project, base, ring, on_bus, worker, until) -> None:
    for part in range(30):  # 24,000 rows: more than one step
        for first in range(0, 800, 400):
            rows = (
                f"INSERT INTO ring.cass_many (part, id, name) VALUES ({part}, {i}, 'n')"
                for i in range(first, first + 400)
            )
            ring(f"BEGIN UNLOGGED BATCH {'; '.join(rows)}; APPLY BATCH")
    topic = "cass_big.cass_many"
    status, _ = Slices(project, "cass_big", topic, 1000).end(signal.SIGKILL)
    assert status == -signal.SIGKILL, "the pull ended before it could be killed"
    assert on_bus(project, topic) == []
    # The node dies while the first step is sent: that step is good, the rest of the walk fails.
    slices = Slices(project, "cass_big", topic, 1000)
    node = supervise.states(base)["source-ring"]["pid"]
    os.kill(node, signal.SIGKILL)
    status, said = slices.end(signal.SIGCONT)
    assert status == 1 and "cass_big" in said
    user = ("headrace", base.addresses.secret("RING_PASSWORD"))

    def answers() -> bool:
        try:
            probe.cassandra(base.addresses.source_port("ring"), user)
        except probe.NotReady:
            return False
        return supervise.states(base)["source-ring"]["pid"] != node

    until(answers, 90, "the node again")
    assert len(on_bus(project, topic)) == 20_000
    assert count(project, "cass_big") == 4_000
    assert count(project, "cass_big") == 0
    keys = [(key["part"], key["id"]) for _, key, _ in changes(on_bus(project, topic))]
    assert len(keys) == len(set(keys)) == 24_000
    proof = certificate(project, "cass_big")
    assert (proof.verdict, proof.summary()["rows"]) == (verdict.PROVEN, 24_000)


def test_a_source_is_added_from_what_the_cluster_says(base, ring, make_project, shared_url, on_bus) -> None:
    ring(
        "CREATE TABLE ring.cass_added (region text, id uuid, n varint, total decimal, at timestamp, day date, tags"
        " set<text>, parts map<text, int>, raw blob, open boolean, v double, updated_at timestamp, PRIMARY KEY"
        " (region, id)) WITH comment = 'What was added.' AND default_time_to_live = 86400"
    )
    ring(
        "INSERT INTO ring.cass_added (region, id, n, total, at, day, tags, parts, raw, open, v, updated_at) VALUES"
        " ('é', uuid(), 5, 1.50, '2026-01-01T10:00:00Z', '2026-01-01', {'a'}, {'b': 2}, 0xff, true, 0.5,"
        " '2026-01-01T10:00:00Z')"
    )
    project = make_project({}, on=base)
    found = ask(project, "cass_add", shared_url(base, "ring"), tables=("cass_added", "ring.cass_ke*"))
    proposal = propose("cass_add", found)
    adding.write(project.root, proposal.files)
    project, problems = inspect(project.root)
    assert problems == ()
    assert proposal.notes == ("cass_added: its rows vanish 86400 s after they were written: each comes as a deletion",)
    contract = project.contracts["cass_added"]
    assert {c.name: c.logical + ("*" if c.key else "") for c in contract.columns} == {
        "region": "string*", "id": "string*", "n": "integer", "total": "string", "at": "timestamp", "day": "date",
        "tags": "array", "parts": "object", "raw": "string", "open": "boolean", "v": "number",
        "updated_at": "timestamp",
    }  # fmt: skip
    assert (contract.event_time, project.contracts["cass_keyed"].key) == ("updated_at", ("id", "line"))
    topics.ensure(project)
    assert count(project, "cass_add") == 1
    (change,) = changes(on_bus(project, "cass_add.cass_added"))
    check = compile_check(contract.columns, contract.event_time)
    assert change[2] and check(change[2]) is not None  # the row keeps the proposed contract
    assert ask(base, "ring", "cassandra", tables=("cass_added",)).connection == {"local": True}


def test_who_can_not_ask_a_cluster_is_told_why(base, ring, project, shared_url, monkeypatch) -> None:
    url = shared_url(base, "ring")
    ring("CREATE ROLE cass_blind WITH PASSWORD = 'not-it' AND LOGIN = true")
    ring("CREATE KEYSPACE cass_empty WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    monkeypatch.setenv("CASS_BLIND", "not-it")
    blind = url.replace("headrace:${RING_PASSWORD}", "cass_blind:${CASS_BLIND}")
    for where, said in (
        (url.replace("RING_PASSWORD", "CASS_BLIND"), "the database refuses us"),
        (f"{url.rpartition('/')[0]}/rings", "there is no keyspace 'rings'"),
        (f"{url.rpartition('/')[0]}/cass_empty", "keyspace cass_empty has no table"),
        (blind, "ring.cass_keyed can't be taken: the user may not read it"),
    ):
        with pytest.raises(HeadraceError) as error:
            ask(project, "other", where, tables=("cass_keyed",))
        assert said in str(error.value)
        assert "not-it" not in str(error.value)
