"""When the DAG of a stream job is started. Flink, Airflow and the clock are stand-ins: the rules are about time."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.orchestrate import backoff
from headrace.orchestrate.streams import Streams
from headrace.orchestrate.watch import Parts


class World:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.running: list[dict] = []
        self.codes: dict[str, str] = {}
        self.busy: set[str] = set()
        self.started = 0
        self.away = False

    def monotonic(self) -> float:
        return self.seconds

    def jobs(self) -> list[dict]:
        if self.away:
            raise HeadraceError("Flink does not answer")
        return self.running

    def code(self, jid: str) -> str:
        return self.codes[jid]

    def active(self, dag_ids: object) -> set[str]:
        return self.busy

    def start(self, dag_id: str, note: str) -> bool:
        assert dag_id == "stream__dear_visit"
        self.started += 1
        return True


@pytest.fixture
def world(monkeypatch) -> World:
    world = World()
    monkeypatch.setattr(backoff.time, "monotonic", world.monotonic)
    return world


@pytest.fixture
def job(clinic, world) -> Streams:
    found = Streams(clinic(), Parts(lambda text: None))
    found.flink = found.airflow = world
    world.codes = {"a": found._versions["dear_visit"], "old": "other"}
    return found


def after(job: Streams, world: World, seconds: float) -> int:
    world.started = 0
    for _ in range(int(seconds / 10)):
        job.beat()
        world.seconds += 10
    return world.started


def runs(world: World, jid: str) -> None:
    world.running = [{"name": "headrace.clinic.dear_visit", "jid": jid, "start-time": 0}]


def test_a_job_that_runs_with_its_files_code_is_left_alone(job, world):
    runs(world, "a")
    assert after(job, world, 600) == 0


def test_a_job_that_is_gone_is_started_at_once_and_again_the_next_time(job, world):
    assert after(job, world, 10) == 1
    runs(world, "a")
    assert after(job, world, 100) == 0
    world.running = []
    assert after(job, world, 10) == 1


def test_a_job_with_other_code_is_started(job, world):
    runs(world, "old")
    assert after(job, world, 10) == 1


def test_a_job_that_cannot_start_is_tried_ever_more_rarely(job, world):
    assert after(job, world, 3600) == 6  # after 0, 1, 3, 7, 15 and 31 minutes


def test_nothing_is_started_while_its_dag_runs_or_flink_is_away(job, world):
    world.busy = {"stream__dear_visit"}
    assert after(job, world, 100) == 0
    world.busy, world.away = set(), True
    with pytest.raises(HeadraceError):
        job.beat()
    assert world.started == 0


def test_a_job_is_stopped_when_its_file_is_missing_at_two_looks_in_a_row(job, world, monkeypatch):
    retired = []
    monkeypatch.setattr("headrace.stream.ensure.retire", lambda project: retired.append(project) or ["gone"])
    lost = {"name": "headrace.clinic.gone", "jid": "x"}
    runs(world, "a")
    kept = list(world.running)
    for seen in ([lost], [], [lost], []):  # it is back at every second look
        world.running = kept + seen
        job.beat()
    assert not retired
    world.running = [*kept, lost, {"name": "headrace.other.gone", "jid": "y"}]
    job.beat()
    assert not retired
    job.beat()
    assert len(retired) == 1
