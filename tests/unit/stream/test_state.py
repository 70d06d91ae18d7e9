"""Which state a job starts from, and what is removed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.project import Job, Project
from headrace.stream import plan, state


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    return make_job("-- key: id\nSELECT id FROM visits_changes\n")


def _complete(folder: Path, at: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "_metadata").touch()
    os.utime(folder / "_metadata", (at, at))
    os.utime(folder, (at, at))
    return folder


def test_the_newest_complete_checkpoint_or_savepoint_comes_first(clinic: Project, job: Job) -> None:
    checkpoints, savepoints = plan.checkpoints(clinic, job), plan.savepoints(clinic, job)
    assert checkpoints and savepoints
    old = _complete(checkpoints / "aa" / "chk-7", 100)
    new = _complete(checkpoints / "bb" / "chk-3", 300)
    (checkpoints / "bb" / "chk-4").mkdir()  # was being written when Flink was killed
    stopped = _complete(savepoints / "savepoint-1", 200)
    assert state.newest(clinic, job, stopped.as_uri()) == [p.as_uri() for p in (new, stopped, old)]
    assert state.newest(clinic, job, (savepoints / "gone").as_uri()) == [new.as_uri(), old.as_uri()]


def test_checkpoints_of_earlier_runs_go_when_the_running_one_has_its_own(clinic: Project, job: Job) -> None:
    folder = plan.checkpoints(clinic, job)
    assert folder
    _complete(folder / "old" / "chk-7", 100)
    (folder / "new").mkdir()
    state.prune(clinic, job, "new")
    assert (folder / "old").exists()
    _complete(folder / "new" / "chk-1", 200)
    state.prune(clinic, job, "new")
    assert not (folder / "old").exists()
    assert (folder / "new").exists()


def test_the_newest_three_savepoints_stay(clinic: Project, job: Job) -> None:
    folder, checkpoints = plan.savepoints(clinic, job), plan.checkpoints(clinic, job)
    assert folder and checkpoints
    checkpoints.mkdir(parents=True)
    for n in range(6):
        _complete(folder / f"savepoint-{n}", 100 + n)
    state.prune(clinic, job, "new")
    assert sorted(p.name for p in folder.iterdir()) == ["savepoint-3", "savepoint-4", "savepoint-5"]


def test_state_given_up_is_not_started_from_but_kept_aside(clinic: Project, job: Job) -> None:
    folder = plan.checkpoints(clinic, job)
    assert folder
    _complete(folder / "old" / "chk-7", 100)
    state.give_up(clinic, job)
    assert state.newest(clinic, job, "") == []
    assert (folder.parent / "dear_visit.given-up" / "old" / "chk-7" / "_metadata").exists()
