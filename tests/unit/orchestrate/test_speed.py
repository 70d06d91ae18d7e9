"""When a live view's DAG is started for its speed job, and when a speed job is stopped. Flink, Airflow, PostgreSQL and
the clock are stand-ins: the rules are about names and time."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.orchestrate import backoff
from headrace.orchestrate.speed import SpeedJobs
from headrace.orchestrate.watch import Parts

LIVE = "-- Visits per bed.\n-- live: {}\nSELECT id, COUNT(*) AS visits FROM visits GROUP BY id\n"
FILE = "jobs/batch/visits_per_bed.sql"


class World:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.running: list[dict[str, Any]] = []
        self.versions = {"visits_per_bed": "v1"}
        self.busy: set[str] = set()
        self.started: list[str] = []
        self.stopped: list[tuple[str, str]] = []
        self.noted: list[float] = []
        self.away = False

    def jobs(self) -> list[dict[str, Any]]:
        if self.away:
            raise HeadraceError("Flink does not answer")
        return self.running

    def active(self, dag_ids: object) -> set[str]:
        return self.busy

    def start(self, dag_id: str, note: str) -> bool:
        self.started.append(dag_id)
        return True

    def runs(self, *names: str) -> None:
        self.running = [{"name": name, "jid": str(n)} for n, name in enumerate(names)]


@pytest.fixture
def world(monkeypatch) -> World:
    world = World()
    monkeypatch.setattr(backoff.time, "monotonic", lambda: world.seconds)
    monkeypatch.setattr("headrace.stream.speed.stop", lambda project, *one: world.stopped.append(one))
    monkeypatch.setattr("headrace.stream.speed.note", lambda project, running: world.noted.append(world.seconds))
    monkeypatch.setattr(SpeedJobs, "_published", lambda self: world.versions)
    return world


@pytest.fixture
def jobs(clinic, world):
    def make(live: str = "true", **changed: str) -> SpeedJobs:
        found = SpeedJobs(clinic(**{FILE: LIVE.format(live)} | changed), Parts(lambda text: None))
        found.flink = found.airflow = world
        return found

    return make


def after(jobs: SpeedJobs, world: World, seconds: float) -> list[str]:
    world.started.clear()
    for _ in range(int(seconds / 10)):
        jobs.beat()
        world.seconds += 10
    return list(world.started)


def test_a_view_whose_published_version_has_its_job_is_left_alone(jobs, world):
    world.runs("headrace-live.clinic.visits_per_bed.v1")
    assert after(jobs(), world, 600) == []


def test_a_missing_job_starts_the_views_dag_at_once_and_then_ever_more_rarely(jobs, world):
    one = jobs()
    world.runs("headrace-live.clinic.visits_per_bed.v2", "headrace-live.other.visits_per_bed.v1")
    assert after(one, world, 10) == ["batch__visits_per_bed"]
    assert len(after(one, world, 3590)) == 5  # after 1, 3, 7, 15 and 31 minutes
    world.runs("headrace-live.clinic.visits_per_bed.v1")
    assert after(one, world, 10) == []
    world.runs()
    assert after(one, world, 10) == ["batch__visits_per_bed"]


def test_nothing_is_started_for_what_is_not_published_not_live_or_busy_or_while_flink_is_away(jobs, world):
    assert after(jobs("false"), world, 100) == []
    one = jobs()
    world.busy = {"batch__visits_per_bed"}
    assert after(one, world, 100) == []
    world.busy, world.versions = set(), {}
    assert after(one, world, 100) == []
    world.away = True
    with pytest.raises(HeadraceError):
        one.beat()


def test_a_job_whose_view_is_gone_or_no_longer_live_is_stopped_at_the_second_look(jobs, world):
    one = jobs("false")
    names = [f"headrace-live.clinic.{name}.v1" for name in ("visits_per_bed", "gone")]
    for seen in (names, [], names):  # it is back at every second look
        world.runs(*seen)
        one.beat()
    assert world.stopped == []
    one.beat()
    assert world.stopped == [("gone", "v1"), ("visits_per_bed", "v1")]


def test_a_file_with_a_mistake_stops_nothing(jobs, world):
    one = jobs(**{FILE: "-- live: perhaps\nSELECT 1"})
    world.runs("headrace-live.clinic.visits_per_bed.v1")
    for _ in range(3):
        one.beat()
    assert world.stopped == [] and world.started == []


def test_where_jobs_are_is_noted_once_a_minute(jobs, world):
    world.runs("headrace-live.clinic.visits_per_bed.v1")
    after(jobs(), world, 180)
    assert world.noted == [1000.0, 1060.0, 1120.0]
