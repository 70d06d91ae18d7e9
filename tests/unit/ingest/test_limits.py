"""What is done when a database keeps too much of its log: by the source's file, step by step, without a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace.errors import HeadraceError, Place
from headrace.ingest import connectors, controls, database, epochs, lag, limits
from headrace.ingest.lag import LogLag, unread
from headrace.project import Project, Source
from headrace.project.limits import PAUSE, RESNAPSHOT, LogLimits, shown
from headrace.project.settings import Settings

GB = 10**9


class Scene:
    """One source whose log has a size; `did` is what was done to it, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: Source, root: Any) -> None:
        self.source, self.held, self.did, self.decided = source, 0, [], {}
        self.project = Project(root, Settings(name="x"), (source,), ())  # type: ignore[call-arg]
        self.killed_at = ""
        monkeypatch.setattr(lag, "measure", lambda project, source: LogLag(source.name, self.held, 1.0))
        monkeypatch.setattr(controls, "read", lambda project: dict(self.decided))
        monkeypatch.setattr(controls, "write", lambda project, changes: self.decided.update(changes))
        monkeypatch.setattr(epochs, "_of_source", lambda *given: (None, True))
        monkeypatch.setattr(connectors, "hold", lambda *given: self.do("hold"))
        monkeypatch.setattr(database, "drop_slot", lambda *given: self.do("drop"))
        monkeypatch.setattr(connectors, "ensure", self.ensure)

    def do(self, what: str) -> None:
        if what == self.killed_at:
            raise HeadraceError("killed")
        self.did.append(what)

    def ensure(self, project: Project) -> list[dict[str, Any]]:
        self.do("ensure")
        return [{"source": "house", "refused": ""}]

    def act(self, then: str, held: int) -> str:
        self.held = held
        source = replace(self.source, limits=LogLimits(GB, 5 * GB, then))
        return limits.act(self.project, source)


@pytest.fixture
def scene(monkeypatch, tmp_path) -> Callable[..., Scene]:
    return Scene(monkeypatch, Source("house", "postgresql", (), Place(tmp_path)), tmp_path)  # type: ignore[return-value]


def test_below_the_limit_nothing_is_done(scene):
    assert scene.act(PAUSE, 5 * GB - 1) == ""
    assert (scene.did, scene.decided) == ([], {})


def test_pause_lets_the_log_go_and_asks_for_a_snapshot_at_resume(scene):
    assert scene.act(PAUSE, 6 * GB) == "house is paused and lets its log go: its log was 6.0 GB, the limit is 5.0 GB"
    assert scene.did == ["hold", "drop"]
    assert set(scene.decided) == {("paused", "house"), ("epoch", "house")}
    assert scene.decided["paused", "house"]["who"] == "limits"


@pytest.mark.parametrize("step", ["hold", "drop"])
def test_a_pause_that_was_killed_is_ended_by_the_next_check(scene, step):
    scene.killed_at = step
    with pytest.raises(HeadraceError):
        scene.act(PAUSE, 6 * GB)
    asked, scene.killed_at = scene.decided["epoch", "house"], ""
    assert scene.act(PAUSE, 6 * GB)
    assert scene.did[-2:] == ["hold", "drop"]
    assert scene.decided["epoch", "house"] == asked, "one snapshot is enough"


def test_resnapshot_begins_anew_once_and_leaves_a_running_snapshot_its_slot(scene):
    assert "snapshotted anew" in scene.act(RESNAPSHOT, 6 * GB)
    assert scene.act(RESNAPSHOT, 7 * GB) == ""
    assert scene.did == ["ensure"]


def test_a_source_that_is_paused_already_is_not_snapshotted_but_lets_its_log_go(scene):
    scene.decided["paused", "house"] = {"since": 1, "who": "ada", "why": "a new disk"}
    assert "is paused" in scene.act(RESNAPSHOT, 6 * GB)
    assert scene.did == ["hold", "drop"]
    assert scene.decided["paused", "house"]["who"] == "ada"


def test_a_large_log_is_a_warning(scene):
    source = replace(scene.source, limits=LogLimits(GB, None))
    assert limits.warning(source, LogLag("house", GB - 1)) == ""
    assert limits.warning(source, LogLag("house")) == ""
    said = "its database keeps 1.5 GB of its log for us; no limit is set"
    assert limits.warning(source, LogLag("house", GB * 3 // 2)) == said
    assert limits.warning(replace(source, limits=LogLimits(GB, 2 * GB)), LogLag("house", GB)).endswith(
        "2.0 GB on: pause"
    )


def test_mariadbs_log_behind_a_change_is_counted_over_its_files():
    logs = [("bin.000001", 100), ("bin.000002", 50), ("bin.000003", 7)]
    assert unread(logs, {"file": "bin.000003", "pos": 7}) == 0
    assert unread(logs, {"file": "bin.000001", "pos": 90}) == 67
    assert unread(logs[1:], {"file": "bin.000001", "pos": 90}) is None
    assert unread(logs, None) is None


def test_sizes_are_shown_as_people_say_them():
    assert [shown(n) for n in (12, 1_500, 20_000_000, 3 * GB, 4 * 10**12)] == [
        "12 bytes", "1.5 KB", "20.0 MB", "3.0 GB", "4.0 TB",
    ]  # fmt: skip
