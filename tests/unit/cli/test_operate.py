"""`headrace pause`, `resume`, `resync` and `wait`: what they say, without servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.audit import flow
from headrace.cli import context, pause, resume, resync, wait
from headrace.errors import HeadraceError
from headrace.ingest import connectors, controls

COLUMN = "{name: id, logicalType: integer, primaryKey: true}"
FILES = {
    "headrace.yml": "name: museum\n",
    "lake/sources/house.yml": "kind: postgresql\nconnection: {local: true}\ntables: {rooms: public.rooms}\n",
    "lake/sources/floor.yml": "kind: events\ntables: {steps: floor.steps}\n",
} | {
    f"schemas/{table}.yaml": f"version: 1.0.0\nschema:\n  - name: {table}\n    properties: [{COLUMN}]\n"
    for table in ("rooms", "steps")
}


@pytest.fixture
def did(tmp_path: Path, monkeypatch) -> list[str]:
    """A project whose decisions are kept here; what its connectors are told is listed."""
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    decided: dict[tuple[str, ...], Any] = {}
    told: list[str] = []

    def write(project: Any, changes: dict[tuple[str, ...], Any]) -> None:
        for key, value in changes.items():
            decided.pop(key, None)
            if value is not None:
                decided[key] = value

    def ensure(project: Any) -> list[dict[str, str]]:
        told.append("ensure")
        return [{"source": "house", "error": ""}]

    monkeypatch.setattr(context.state, "directory", tmp_path)
    monkeypatch.setattr(controls, "read", lambda project: dict(decided))
    monkeypatch.setattr(controls, "write", write)
    monkeypatch.setattr(connectors, "hold", lambda project, source: told.append(f"hold {source.name}"))
    monkeypatch.setattr(connectors, "ensure", ensure)
    return told


def test_a_source_is_paused_and_resumed(did, capsys):
    pause.command("house", "a new disk")
    said = capsys.readouterr()
    assert "house is paused since" in said.out
    assert "a new disk" in said.out
    assert "headrace resume house" in said.err
    resume.command("house")
    assert capsys.readouterr().out == "house goes on\n"
    resume.command("house")
    assert capsys.readouterr().out == "house was not paused\n"
    assert did == ["hold house", "ensure", "ensure"]


def test_a_table_of_a_paused_source_stays_paused_and_that_is_said(did, capsys):
    pause.command("house.rooms")
    pause.command("house")
    capsys.readouterr()
    resume.command("house")
    assert "house goes on\nhouse.rooms stays paused since" in capsys.readouterr().out
    assert did == ["hold house", "ensure"]


def test_only_a_source_with_a_log_can_be_taken_again_and_not_while_it_is_paused(did):
    with pytest.raises(HeadraceError, match="'floor' \\(events\\) has no resync"):
        resync.command("floor.steps")
    pause.command("house", "")
    with pytest.raises(HeadraceError, match="'house' is paused since"):
        resync.command("house.rooms")


def test_wait_names_what_is_paused_also_when_it_is_quiet(did, capsys, monkeypatch):
    pause.command("floor")
    capsys.readouterr()
    monkeypatch.setattr(flow.markers, "mark", lambda project, timeout: {})
    monkeypatch.setattr(flow, "_until", lambda *given: None)
    wait.command(quiet=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("not waiting for floor: paused since")
