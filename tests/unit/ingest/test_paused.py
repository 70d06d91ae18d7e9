"""What is paused, and who takes notice: decided from records, without a bus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.audit import flow
from headrace.errors import HeadraceError
from headrace.ingest import connectors, controls, paused
from headrace.ingest.paused import Pauses
from headrace.project import Project, load
from headrace.pulls import pull

PAUSE = {"since": 1_790_000_000, "who": "ada", "why": "a new disk"}


@pytest.fixture
def museum(tmp_path: Path) -> Project:
    """A captured source of two tables, one that is pulled, one of events."""
    files = {"headrace.yml": "name: museum\n"}
    for table in ("rooms", "visits", "shows", "steps"):
        column = "{name: id, logicalType: integer, primaryKey: true}"
        files[f"schemas/{table}.yaml"] = f"version: 1.0.0\nschema:\n  - name: {table}\n    properties: [{column}]\n"
    files |= {
        "lake/sources/house.yml": "kind: postgresql\nconnection: {local: true}\n"
        "tables: {rooms: public.rooms, visits: public.visits}\n",
        "lake/sources/office.yml": "kind: files\nconnection: {path: lists}\ntables: {shows: '*.csv'}\n",
        "lake/sources/floor.yml": "kind: events\ntables: {steps: floor.steps}\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    project = load(tmp_path)
    assert not project.problems
    return project


@pytest.fixture
def decided(monkeypatch) -> Callable[..., dict[tuple[str, ...], Any]]:
    """decided("house", "house/rooms", …): these are paused, for everybody who asks."""
    records: dict[tuple[str, ...], Any] = {}

    def write(project: Project, changes: dict[tuple[str, ...], Any]) -> None:
        for key, value in changes.items():
            records[key] = value
            if value is None:
                del records[key]

    def pause(*names: str) -> dict[tuple[str, ...], Any]:
        records.clear()
        records.update({("paused", *name.split("/")): PAUSE for name in names})
        return records

    monkeypatch.setattr(controls, "read", lambda project: dict(records))
    monkeypatch.setattr(controls, "write", write)
    return pause


def test_landing_leaves_paused_tables_and_paused_events_alone(museum, decided):
    for names, topics in {
        ("house",): set(),  # its connector is stopped: what is on the bus already may land
        ("house/visits",): {"house.public.visits"},
        ("office/shows", "floor"): {"office.shows", "floor.steps"},
        ("strange", "house/gone"): set(),
    }.items():
        assert Pauses.of(decided(*names)).topics(museum) == topics


def test_a_pause_says_since_when_by_whom_and_why(museum, decided):
    pauses = Pauses.of(decided("house"))
    pause = pauses.table(museum.table("rooms"))
    assert pause
    assert (pause.name, pause.text) == ("house", "paused since 2026-09-21 14:13 by ada: a new disk")
    assert pauses.table(museum.table("steps")) is None


def test_pausing_twice_keeps_the_first_reason_and_resuming_twice_is_no_error(museum, decided):
    records = decided()
    source, table = museum.part("house.visits")
    paused.pause(museum, source, table, "first")
    assert paused.pause(museum, source, table, "second").why == "first"
    assert paused.resume(museum, source, None) is None
    assert list(records) == [("paused", "house", "visits")]
    ended = paused.resume(museum, source, table)
    assert ended
    assert ended.name == "house.visits"
    assert paused.resume(museum, source, table) is None
    assert records == {}


def test_a_part_that_is_not_there_is_said(museum):
    with pytest.raises(HeadraceError, match="no table of house 'visit'") as error:
        museum.part("house.visit")
    assert "did you mean 'visits'" in error.value.problems[0].hint
    with pytest.raises(HeadraceError, match="no source 'hous'"):
        museum.part("hous.visits")


def test_nobody_waits_for_what_is_paused(museum, decided, monkeypatch):
    monkeypatch.setattr(flow.landing, "positions", lambda project, table: {0: 5})
    targets = {(table.topic, 0): 9 for table in museum.tables.values()}
    lags = flow.measure(museum, targets, decided("house/visits", "floor"))
    assert {lag.name for lag in lags if lag.behind and not lag.paused} == {"rooms", "shows"}
    assert {(lag.name, lag.behind) for lag in lags if lag.paused} == {("visits", 5), ("steps", 5)}
    (lag,) = (lag for lag in flow.measure(museum, {}, decided("house")) if lag.stage == "source")
    assert (lag.name, lag.paused) == ("house", True)


def test_a_paused_pull_brings_nothing_and_says_so(museum, decided, monkeypatch):
    decided("office")
    monkeypatch.setattr(pull.topics, "ensure", lambda project: None)
    monkeypatch.setattr(pull, "Producer", lambda settings: pytest.fail("a producer was made"))
    result = pull.pull(museum, museum.source("office"))
    assert result == {"source": "office", "tables": {}, "skipped": [], "paused": ["shows"]}


def test_connectors_that_do_not_do_what_was_decided_are_found(decided):
    states = [{"source": name, "state": state, "epoch": 7} for name, state in
              (("a", "RUNNING"), ("b", "STOPPED"), ("c", "FAILED"), ("d", "MISSING"), ("e", "STOPPED"), ("f", "RUNNING"))]  # fmt: skip  # noqa: E501
    records = decided("a", "e", "d")
    assert connectors.astray(states, records) == ["a", "b", "c"]
    records |= {("epoch", name): {"epoch": 8, "since": 0} for name in "ef"}
    assert connectors.astray(states, records) == ["a", "b", "c", "f"]  # 'e' is paused: it begins anew when resumed
