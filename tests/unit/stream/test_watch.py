"""What `status` says of jobs at Flink. Flink and PostgreSQL are stand-ins: real ones are in tests/engine/stream."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.stream import watch
from headrace.stream.record import Record

LIVE = "-- Fees.\n-- live: true\nSELECT day, SUM(fee) AS fees FROM visits GROUP BY day\n"


class World:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.away = False
        self.versions = {"fees": "v1"}

    def jobs(self) -> list[dict]:
        if self.away:
            raise HeadraceError("Flink does not answer")
        return [{"name": n, "jid": f"id of {n}", "state": "RUNNING"} for n in self.names]

    def runs(self, *names: str) -> None:
        self.names = list(names)


@pytest.fixture
def world(monkeypatch) -> World:
    world = World()
    monkeypatch.setattr(watch, "Flink", lambda address: world)
    monkeypatch.setattr(watch, "_health", lambda flink, job: {"restarts": 2, "checkpoint_age": 1.5, "late": 0})
    monkeypatch.setattr(watch, "connect", lambda project: nullcontext())
    monkeypatch.setattr(watch.record, "read", lambda connection, job: Record(job, "earlier", state="RUNNING"))
    monkeypatch.setattr(watch.ops, "live_versions", lambda connection: world.versions)
    return world


def listed(project) -> list[tuple]:
    return [(r["kind"], r["job"], r["state"], r["restarts"], r["late"], r["note"]) for r in watch.list_jobs(project)]


@pytest.fixture
def desk(clinic):
    for path, text in (
        ("jobs/batch/fees.sql", LIVE),
        ("jobs/stream/dear.sql", "-- key: id\nSELECT id FROM visits_changes"),
    ):
        (clinic.root / path).parent.mkdir(parents=True, exist_ok=True)
        (clinic.root / path).write_text(text)
    return load(clinic.root)


def test_speed_jobs_are_told_from_stream_jobs(desk, world):
    world.runs("headrace.clinic.dear", "headrace-live.clinic.fees.v1", "headrace-live.clinic.fees.v2")
    assert listed(desk) == [
        ("alert view", "dear", "RUNNING", 2, 0, ""),
        ("live view", "fees", "RUNNING", 2, None, ""),
        ("live view", "fees", "RUNNING", 2, None, "version v2, not shown to readers"),
    ]


def test_a_speed_job_that_should_run_is_lost_and_one_of_a_view_never_published_is_new(desk, world):
    assert [row[2] for row in listed(desk)] == ["LOST", "LOST"]
    world.versions = {}
    assert [row[2] for row in listed(desk)] == ["LOST", "NEW"]
    world.runs("headrace-live.clinic.fees.v1")
    assert [row[2] for row in listed(desk)] == ["LOST", "RUNNING"]
    world.away = True
    assert [row[2] for row in listed(desk)] == ["UNKNOWN", "UNKNOWN"]
