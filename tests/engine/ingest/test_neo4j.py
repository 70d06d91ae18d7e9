"""Pulls from a real graph, repeated, killed, and with its server killed. Each row is on the bus once."""

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
from urllib.parse import urlsplit

import pytest
from neo4j import GraphDatabase

from headrace.errors import HeadraceError
from headrace.ingest import bus, topics
from headrace.local import supervise
from headrace.project import Project, adding, inspect
from headrace.project.propose import propose
from headrace.pulls.pull import pull
from headrace.sources import health
from headrace.sources.ask import ask
from headrace.sql.validity import compile_check

PLACE = {"id": "integer!", "name": "string", "price": "decimal(6,2)", "changed_at": "timestamp"}
VISIT = {"guest_id": "integer!", "place": "string!", "since": "date", "stars": "integer"}
EVENT = {"id": "integer!", "number": "integer"}
LONG = "x" * 10_000_000
EVENTS = 40_000


@pytest.fixture(scope="module")
def town(shared, make_project, make_contract, shared_url) -> Project:
    base = shared("bus", "source:town")
    url = shared_url(base, "town")

    def source(tables: str, address: str = url) -> str:
        return f"kind: neo4j\nconnection: {{url: '{address}'}}\ntables:\n{tables}"

    ends = "start: {guest_id: id}, end: {place: code}"
    files = {
        "lake/sources/neo_town.yml": source(
            '  neo_places: {from: "(:Place)", watermark: changed_at}\n'
            f'  neo_visits: {{from: "(:Guest)-[:VISITED]->(:Place:Open)", watermark: since, {ends}}}\n'
            f'  neo_tags: ":`Odd ``tag`"\n  neo_likes: {{from: "()-[:LIKES]->()", {ends}}}\n'
        ),
        "lake/sources/neo_odd.yml": source("  neo_odd: {from: (:Odd), watermark: changed_at}\n"),
        "lake/sources/neo_events.yml": source("  neo_events: {from: (:Event), watermark: number}\n"),
        "lake/sources/neo_lost.yml": source("  neo_lost: (:Plaice)\n  neo_found: (:Found)\n"),
        "lake/sources/neo_shut.yml": source("  neo_shut: (:Place)\n", url.replace("TOWN_PASSWORD", "WRONG_PASSWORD")),
        "schemas/neo_visits.yaml": make_contract("neo_visits", VISIT, "guest_id, place"),
        "schemas/neo_likes.yaml": make_contract("neo_likes", VISIT, "guest_id, place"),
        "schemas/neo_events.yaml": make_contract("neo_events", EVENT, "id"),
    }
    for table in ("neo_places", "neo_tags", "neo_odd", "neo_lost", "neo_found", "neo_shut"):
        files[f"schemas/{table}.yaml"] = make_contract(table, PLACE, "id")
    project = make_project(files, on=base)
    assert not project.problems
    topics.ensure(project)
    return project


@pytest.fixture(scope="module")
def cypher(town) -> Iterator[Callable[..., Any]]:
    """cypher(query, name=value, …) runs a query, as a service would."""
    parts = urlsplit(town.addresses.source(town.source("neo_town")))
    address, auth = f"bolt://{parts.hostname}:{parts.port}", (parts.username, parts.password)
    with GraphDatabase.driver(address, auth=auth) as driver:
        yield lambda query, **values: driver.execute_query(query, values).records


def rows(records) -> list[dict[str, Any]]:
    return [json.loads(record.value())["after"] for record in records]


def counts(project: Project, source: str) -> dict[str, int]:
    return pull(project, project.source(source))["tables"]


def test_nodes_and_relationships_come_once_for_each_change(town, cypher, on_bus) -> None:
    at = "datetime('2026-01-01T10:00:00.123456789[Europe/Zurich]')"
    cypher(
        "CREATE (a:Guest {id: 1}), (b:Guest {id: 2}),"
        f" (c:Place:Open {{id: 1, code: 'A', price: 1.1, changed_at: {at}}}),"
        f" (d:Place {{id: 2, code: 'B', changed_at: {at}}}),"
        " (a)-[:VISITED {since: date('2026-01-05'), stars: 3}]->(c),"
        " (b)-[:VISITED {since: date('2026-01-05')}]->(c), (b)-[:VISITED {since: date('2026-01-05')}]->(d),"
        " (a)-[:LIKES {stars: 9007199254740993}]->(d), (:`Odd ``tag` {id: 1, name: 'é'}), (:`Odd ``tag` {id: 2})"
    )
    assert counts(town, "neo_town") == {"neo_places": 2, "neo_visits": 2, "neo_tags": 2, "neo_likes": 1}
    assert set(counts(town, "neo_town").values()) == {0}
    # Of the same moment in other words, and later ones: only what is new or has changed.
    cypher("CREATE (:Place {id: 3, changed_at: datetime('2026-01-01T09:00:00.123456789Z')})")
    cypher("CREATE (:Place {id: 4, changed_at: localdatetime('2026-01-01T09:00:00.123456789')})")
    cypher("CREATE (:Place {id: 5, changed_at: datetime('2026-01-01T04:00:00.123456789-05:00')})")
    cypher("MATCH (p:Place {id: 1}) SET p.price = 2.25")
    cypher("MATCH (:Guest {id: 2})-[v:VISITED]->(:Open) SET v.since = date('2026-02-01'), v.stars = 5")
    cypher("MATCH (t:`Odd ``tag` {id: 1}) SET t.name = 'è'")
    assert counts(town, "neo_town") == {"neo_places": 4, "neo_visits": 1, "neo_tags": 2, "neo_likes": 0}
    assert set(counts(town, "neo_town").values()) == {0}
    (found,) = cypher(f"RETURN {at} = datetime('2026-01-01T09:00:00.123456789Z') AS same")
    assert found["same"] is False  # why the query makes all moments UTC
    cypher("MATCH (t:`Odd ``tag`) DELETE t")  # an empty answer is no mistake of a table that had rows
    assert set(counts(town, "neo_town").values()) == {0}
    places = {row["id"]: row for row in rows(on_bus(town, "neo_town.neo_places"))}
    assert places[1] == {"id": 1, "code": "A", "price": "2.25", "changed_at": "2026-01-01T09:00:00.123456789Z"}
    assert {row["changed_at"] for row in places.values()} == {"2026-01-01T09:00:00.123456789Z"}
    visits = rows(on_bus(town, "neo_town.neo_visits"))
    assert {"since": "2026-01-05", "stars": 3, "guest_id": 1, "place": "A"} in visits
    assert {"since": "2026-02-01", "stars": 5, "guest_id": 2, "place": "A"} in visits
    assert rows(on_bus(town, "neo_town.neo_likes")) == [{"stars": 2**53 + 1, "guest_id": 1, "place": "B"}]


def test_odd_rows_reach_quarantine_once(town, cypher, work, landed, quarantined, until) -> None:
    good = "changed_at: datetime('2026-01-01T00:00Z')"
    cypher(
        f"CREATE (:Odd {{id: 1, {good}, name: 'fine', price: 9.5}}), (:Odd {{id: 2, {good}, name: $long}}),"
        f" (:Odd {{name: 'without its key', {good}}}), (:Odd {{id: 4}}), (:Odd {{id: 5, changed_at: '2026-01-01'}}),"
        f" (:Odd {{id: 6, {good}, price: 0.1 + 0.2}}), (:Odd {{id: 7, {good}, name: ['a', 'list']}}),"
        " (:Odd {id: 8, changed_at: datetime('+12000-01-01T00:00Z')}),"
        f" (:Odd {{id: 9, {good}, price: 0.0 / 0.0}}), (:Odd {{id: 10, changed_at: datetime('2900-01-01T00:00Z')}})",
        long=LONG,
    )
    assert counts(town, "neo_odd") == {"neo_odd": 10}
    assert counts(town, "neo_odd") == {"neo_odd": 0}
    work(town)
    bad = until(lambda: len(r := quarantined(town, "neo_odd")) == 9 and r, 40, "nine rows in quarantine")
    reasons = "\n".join(row["reason"] for row in bad)
    for said in (
        "oversize: ",
        "changed_at is missing",
        "changed_at is '2026-01-01' and not a ZONED DATETIME or LOCAL DATETIME",
        "expected decimal(6,2) as a string, got '0.30000000000000004'",
        "expected a string, got ['a', 'list']",
        "changed_at: Ordinal out of range",
        "expected decimal(6,2) as a string, got 'nan'",
        "2900-01-01T00:00:00.000000Z, which is yet to come",
    ):
        assert said in reasons, reasons
    assert "missing" in reasons.splitlines()  # the key
    valid = until(lambda: [row for row in landed(town, "neo_odd") if row["after"]], 40, "the good row")
    assert [json.loads(row["after"])["id"] for row in valid] == [1]
    # What is mended comes, and what is still bad is not rejected anew.
    cypher("MATCH (o:Odd {id: 4}) SET o.changed_at = datetime('2026-01-02T00:00Z')")
    assert counts(town, "neo_odd") == {"neo_odd": 1}


def test_a_name_that_the_graph_does_not_know_is_an_error_and_the_other_tables_are_pulled(town, cypher) -> None:
    cypher("MERGE (:Place {id: 1}) MERGE (:Found {id: 1})")
    with pytest.raises(HeadraceError, match="the graph has no label 'Plaice'") as caught:
        pull(town, town.source("neo_lost"))
    (problem,) = caught.value.problems
    assert problem.place and (problem.hint, problem.place.line) == ("did you mean 'Place'?", 4)
    assert sum(record.value() is not None for record in bus.read_to_end(town, "neo_lost.neo_found")) == 1


def test_a_wrong_password_is_said_without_it(town, monkeypatch) -> None:
    monkeypatch.setenv("WRONG_PASSWORD", "wr0ng/pass")
    with pytest.raises(HeadraceError, match="unauthorized due to authentication failure") as caught:
        pull(town, town.source("neo_shut"))
    (row,) = health.check(town, (town.source("neo_shut"),))
    assert "unauthorized" in row["wrong"] and "neo_shut.yml:1" in row["wrong"]
    assert "wr0ng" not in f"{caught.value.problems} {row}"
    (row,) = health.check(town, (town.source("neo_events"),))
    assert row["wrong"] == ""


class Pull:
    """A pull by the command line that stands still once so many more records are written, uncommitted ones too."""

    def __init__(self, project: Project, source: str, topic: str, more: int) -> None:
        command = [str(Path(sys.executable).with_name("headrace")), "-C", str(project.root), "source", "pull", source]
        ends = {topic: project.settings.partitions}
        goal = sum(bus.ends(project, ends).values()) + more
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # It runs for slices and stands still while we look: however quick the machine, it can't end between.
        while sum(bus.ends(project, ends).values()) < goal and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            self.process.send_signal(signal.SIGSTOP)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said


def test_a_pull_and_the_server_killed_at_any_moment_are_exact(town, shared, cypher, on_bus, until) -> None:
    step = EVENTS // 4
    for first in range(0, EVENTS, step):
        cypher(
            "UNWIND range($first, $last) AS i CREATE (:Event {id: i, number: i / 1000})",
            first=first,
            last=first + step - 1,
        )
    topic = "neo_events.neo_events"
    assert Pull(town, "neo_events", topic, 5_000).end(signal.SIGKILL)[0] == -signal.SIGKILL
    stopped = Pull(town, "neo_events", topic, 1)
    base = shared()
    pid = supervise.states(base)["source-town"]["pid"]
    os.kill(pid, signal.SIGKILL)
    status, said = stopped.end(signal.SIGCONT)
    assert (status, "neo_events.yml:1" in said) == (1, True), said
    until(lambda: supervise.states(base)["source-town"]["pid"] not in (0, pid), 20, "the server starts again")
    wrong = until(lambda: health.check(town, (town.source("neo_events"),))[0]["wrong"] == "", 60, "it answers")
    assert wrong and cypher("MATCH (e:Event) RETURN count(e) AS n")[0]["n"] == EVENTS
    counts(town, "neo_events")
    sent = [row["id"] for row in rows(on_bus(town, topic))]
    assert len(sent) == len(set(sent)) == EVENTS
    assert counts(town, "neo_events") == {"neo_events": 0}


def test_a_source_is_added_from_what_the_graph_says(town, cypher, shared, shared_url, make_project, on_bus) -> None:
    cypher("CREATE CONSTRAINT FOR (n:AddedShop) REQUIRE n.code IS UNIQUE")
    cypher(
        "CREATE (a:AddedShop {code: 'A', price: 1.5, at: point({x: 1, y: 2}), updated_at: datetime()}),"
        " (b:AddedShop:AddedOpen {code: 'B', price: 2, tags: ['x'], updated_at: datetime()}),"
        " (c:AddedGuest {id: 7, born: date('2000-01-01')}), (d:AddedGuest {id: 8}),"
        " (:AddedPlain {kind: 'x'}), (:AddedPlain {kind: 'x'}), (c)-[:ADDED_KNOWS]->(d),"
        " (c)-[:ADDED_VISIT {on: date('2026-01-01')}]->(a), (c)-[:ADDED_VISIT {on: date('2026-01-02')}]->(a),"
        " (c)-[:ADDED_TWICE]->(a), (c)-[:ADDED_TWICE]->(a)"
    )
    base = shared()
    project = make_project({}, on=base)
    proposal = propose("neo_add", ask(project, "neo_add", shared_url(base, "town"), tables=("Added*", "ADDED_*")))
    assert {name: why.partition(":")[0] for name, why in proposal.skipped} == {
        "(:AddedPlain)": "nothing tells its nodes apart",
        "(:AddedGuest)-[:ADDED_TWICE]->(:AddedShop)": "nothing tells those apart that join the same two nodes",
    }
    adding.write(project.root, proposal.files)
    project, problems = inspect(project.root)
    assert problems == ()
    columns = {
        name: {c.name: c.logical + ("*" if c.key else "") for c in table.contract.columns}
        for name, table in project.tables.items()
    }
    visit = {"added_guest_id": "integer*", "added_shop_code": "string*", "on": "date*"}
    assert columns["addedshop"] == {
        "code": "string*", "price": "number", "at": "object", "updated_at": "timestamp", "tags": "array",
    }  # fmt: skip
    assert columns["addedguest"] == {"id": "integer*", "born": "date"}
    assert (columns["added_visit"], columns["added_knows"]) == (visit, {"from_id": "integer*", "to_id": "integer*"})
    assert project.table("addedshop").watermark == "updated_at"
    topics.ensure(project)
    taken = {"addedopen": 1, "addedshop": 2, "addedguest": 2, "added_visit": 2, "added_knows": 1}
    assert counts(project, "neo_add") == taken
    for name, table in project.tables.items():
        check = compile_check(table.contract.columns, table.contract.event_time)
        for row in rows(on_bus(project, f"neo_add.{name}")):
            check(row)  # each row keeps the proposed contract
    every = {t.origin: t.skip for t in ask(base, "town", "neo4j").tables}
    assert every["(:AddedOpen)"] == "all its nodes are also (:AddedShop): take it with --table"


def test_who_can_not_ask_a_graph_is_told_why(town, shared, shared_url, monkeypatch) -> None:
    monkeypatch.setenv("WRONG_PASSWORD", "not-it")
    url = shared_url(shared(), "town")
    for where, said in (
        (url.replace("TOWN_PASSWORD", "WRONG_PASSWORD"), "the graph refuses us"),
        (f"{url.rpartition('/')[0]}/towns", "the graph can't be asked"),
    ):
        with pytest.raises(HeadraceError) as error:
            ask(town, "other", where)
        assert said in str(error.value)
        assert "not-it" not in str(error.value)
