"""When a source is snapshotted anew, and how: always by an epoch that was asked for. Connect is a dictionary here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from headrace.errors import HeadraceError
from headrace.ingest import connectors, controls, database, debezium, epochs
from headrace.lake import observed
from headrace.project import Column, Project
from headrace.project.observed import Added, Observed

FILE = "kind: postgresql\nconnection: {local: true}\ntables: {rooms: public.rooms}\n"
CONTRACT = """version: 1.0.0
schema:
  - name: rooms
    properties: [{name: id, logicalType: integer, primaryKey: true}]
"""
FILES = {"headrace.yml": "name: house\n", "lake/sources/house.yml": FILE, "schemas/rooms.yaml": CONTRACT}


class Connect:
    """One connector as Kafka Connect keeps it; `did` is what was done to it and its database, in order."""

    def __init__(self) -> None:
        self.config: dict[str, str] | None = None
        self.state = "RUNNING"
        self.did: list[str] = []
        self.killed_at = ""
        self.lacks = ""
        self.decided: dict[tuple[str, ...], Any] = {}

    def do(self, what: str) -> None:
        if what == self.killed_at:
            raise HeadraceError("killed")
        self.did.append(what)

    def answer(self, request: httpx.Request) -> httpx.Response:
        method, last = request.method, request.url.path.rpartition("/")[2]
        tasks = [] if self.state in ("STOPPED", "UNASSIGNED") else [{"state": "RUNNING"}]
        status = {"connector": {"state": self.state}, "tasks": tasks}
        if last == "connectors":
            known = {"house": {"status": status, "info": {"config": self.config}}} if self.config else {}
            return httpx.Response(200, json=known)
        if method == "GET" and self.config is None:
            return httpx.Response(404)
        if method == "GET":
            return httpx.Response(200, json=status if last == "status" else self.config)
        if self.lacks:
            said = f"Class {self.lacks} could not be found.\nYou can also find the above list of errors at the endpoint"
            return httpx.Response(400, json={"error_code": 400, "message": said})
        self.do(last)
        if last == "config":
            self.config = json.loads(request.content)
            if self.state == "STOPPED":  # what Connect says while it takes it; it starts nothing by itself
                self.state = "UNASSIGNED"
        self.state = {"stop": "STOPPED", "resume": "RUNNING"}.get(last, self.state)
        return httpx.Response(204)

    @property
    def epoch(self) -> int:
        assert self.config is not None
        return int(self.config[debezium.EPOCH])


@pytest.fixture
def connect(monkeypatch) -> Connect:
    made = Connect()
    transport = httpx.MockTransport(made.answer)
    monkeypatch.setattr(connectors, "_client", lambda _: httpx.Client(base_url="http://connect", transport=transport))
    monkeypatch.setattr(controls, "read", lambda project: dict(made.decided))
    monkeypatch.setattr(controls, "write", lambda project, changes: made.decided.update(changes))
    monkeypatch.setattr(database, "prepare", lambda *given: [])
    monkeypatch.setattr(database, "mark", lambda *given: None)
    monkeypatch.setattr(database, "drop_slot", lambda *given: made.do("drop"))
    return made


@pytest.fixture
def house(tmp_path) -> Project:
    from headrace.project import load

    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return load(tmp_path)


@pytest.fixture
def came(monkeypatch) -> Callable[[int], None]:
    """came(epoch): rows of that epoch showed a column that older rows have values in."""

    def come(epoch: int) -> None:
        added = Added(Column("floor", "integer"), "house.public.rooms/0/1", "2026-01-01", epoch, filled=True)
        monkeypatch.setattr(observed, "find", lambda *given: Observed(("id", "floor"), (epoch, ""), {"floor": added}))

    return come


@pytest.fixture
def running(house, connect) -> int:
    """The epoch of a connector whose first snapshot is complete."""
    (state,) = connectors.ensure(house)
    assert state["refused"] == ""
    assert connect.did == ["config"]
    connect.decided[epochs.COMPLETE, "house"] = {"epoch": connect.epoch}
    connect.did.clear()
    return connect.epoch


def outdated(project: Project) -> dict[str, tuple[str, ...]]:
    return connectors.outdated(project, connectors.states(project), controls.read(project))


def test_a_connect_of_somebody_elses_without_our_plugin_is_told_what_to_copy(house, connect):
    connect.lacks = debezium.REPEATS
    (state,) = connectors.ensure(house)
    assert state["state"] == "REFUSED"
    assert "Class headrace.Repeats could not be found" in state["error"]
    assert "copy .jars/connect/headrace into plugin.path" in state["error"]


def test_what_runs_as_it_should_is_left_alone(house, connect, running):
    connectors.ensure(house)
    assert (connect.did, connect.epoch, outdated(house)) == ([], running, {})


def test_a_column_that_older_rows_have_values_in_is_a_reason_for_a_new_epoch(house, connect, running, came):
    came(running)
    assert outdated(house) == {"house": ("rooms.floor",)}
    connectors.ensure(house)
    assert connect.did == ["stop", "drop", "offsets", "config", "resume"]
    assert connect.epoch > running
    assert epochs.wanted(connect.decided, house.source("house")) == connect.epoch
    assert [one.epoch for one in epochs.unsettled(house, connect.decided)] == [connect.epoch], "status says so"
    connectors.ensure(house)
    assert outdated(house) == {}
    assert connect.did.count("drop") == 1


@pytest.mark.parametrize("step", ["stop", "drop", "offsets", "config"])
def test_a_new_snapshot_that_was_killed_is_taken_once_under_the_epoch_it_was_asked_for(
    house, connect, running, came, step
):
    came(running)
    connect.killed_at = step
    (state,) = connectors.ensure(house)
    assert "killed" in state["refused"]
    asked, connect.killed_at = epochs.wanted(connect.decided, house.source("house")), ""
    assert asked > running
    assert outdated(house) == {}, "it is asked for already"
    found = connectors.states(house)
    assert connectors.astray(found, connect.decided) == ["house"], "the pulse ends it"
    connectors.ensure(house)
    assert connect.epoch == asked
    assert connect.did[-3:] == ["offsets", "config", "resume"]


def test_a_paused_source_gets_its_new_snapshot_when_it_is_resumed(house, connect, running, came):
    connect.decided["paused", "house"] = {"since": 1}
    came(running)
    connectors.ensure(house)
    assert (connect.did, connect.epoch, outdated(house)) == (["stop"], running, {})
    assert connectors.astray(connectors.states(house), connect.decided) == []
    del connect.decided["paused", "house"]
    connectors.ensure(house)
    assert connect.did == ["stop", "drop", "offsets", "config", "resume"]
    assert connect.epoch > running


def test_a_snapshot_that_somebody_asked_for_brings_the_column_too(house, connect, running, came):
    came(running)
    asked = epochs.begin(house, house.source("house"), running)
    assert outdated(house) == {}
    connectors.ensure(house)
    assert connect.epoch == asked
    connectors.ensure(house)
    assert connect.did.count("drop") == 1
