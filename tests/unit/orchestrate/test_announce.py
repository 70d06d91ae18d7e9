"""When a due view is announced. Airflow, the lake and the clock are stand-ins: the rules are about time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headrace.orchestrate import announce
from headrace.orchestrate.announce import Announcer
from headrace.orchestrate.client import View
from headrace.orchestrate.due import Published
from headrace.orchestrate.watch import Parts


class World:
    """Airflow and the lake as the announcer sees them, and a clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.data: dict[str, dict[int, int]] = {"visits": {0: 1}, "beds": {0: 1}}
        self.covers: dict[str, dict | None] = {"visits_per_bed": {"visits": {0: 1}}, "busiest_bed": None}
        self.covers["busiest_bed"] = {"visits": {0: 1}, "beds": {0: 1}}
        self.airflow = {"visits_per_bed": View(1, False, False, None), "busiest_bed": View(2, False, False, None)}
        self.announced: list[int] = []
        self.away = False
        self.asked = 0
        self.log: list[str] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def grown(self, tables: set[str]) -> bool:
        return True

    def landed(self, table: str) -> dict[int, int]:
        return self.data[table]

    def covered(self, names: set[str]) -> dict[str, Published | None]:
        found = {n: self.covers[n] for n in names}
        return {n: None if p is None else Published(p, self.versions[n]) for n, p in found.items()}

    def views(self, wanted: object, since: datetime) -> dict[str, View]:
        self.asked += 1
        if self.away:
            raise OSError("away")
        return dict(self.airflow)

    def announce(self, asset_id: int, reasons: dict[str, int]) -> None:
        self.announced.append(asset_id)

    def set(self, view: str, **state: object) -> None:
        self.airflow[view] = View(**{**vars(self.airflow[view]), **state})  # type: ignore[arg-type]


@pytest.fixture
def world(monkeypatch) -> World:
    world = World()
    monkeypatch.setattr(announce, "now", world.now)
    monkeypatch.setattr(announce.time, "monotonic", world.monotonic)
    return world


@pytest.fixture
def announcer(clinic, world) -> Announcer:
    announcer = Announcer(clinic(), Parts(world.log.append))
    world.versions = {name: view.version for name, view in announcer.views.items()}
    announcer.airflow = announcer.lake = world
    return announcer


def after(announcer: Announcer, world: World, seconds: float) -> list[int]:
    """What is announced in the given time, a beat every two seconds."""
    world.announced.clear()
    for _ in range(int(seconds / 2)):
        announcer.beat()
        world.seconds += 2
    return list(world.announced)


def test_nothing_new_is_announced_never_and_asks_nobody(announcer, world):
    assert after(announcer, world, 600) == []
    assert world.asked == 0


def test_new_data_is_announced_once_and_at_most_once_a_minute(announcer, world):
    world.data["visits"] = {0: 2}
    assert after(announcer, world, 50) == [1]
    world.data["visits"] = {0: 3}  # data flows on; no run covers anything
    found = after(announcer, world, 600)
    assert 1 <= len(found) <= 10


def test_a_live_view_is_announced_every_ten_minutes_and_holds_nobody_back(announcer, world):
    announcer.views["visits_per_bed"] = replace(announcer.views["visits_per_bed"], live=True)
    world.data["visits"] = {0: 2}
    assert after(announcer, world, 590) == [1]  # no run covers anything
    assert after(announcer, world, 30) == [1]
    world.set("visits_per_bed", last_run=world.now())
    world.data["beds"] = {0: 2}
    assert after(announcer, world, 60) == [2]


def test_a_view_that_is_busy_or_paused_is_left_alone(announcer, world):
    world.data["visits"] = {0: 2}
    world.set("visits_per_bed", busy=True)
    assert after(announcer, world, 200) == []
    world.set("visits_per_bed", busy=False, paused=True)
    assert after(announcer, world, 200) == []
    world.set("visits_per_bed", paused=False)
    assert after(announcer, world, 20) == [1]


def test_a_run_by_hand_counts_for_the_minute(announcer, world):
    world.data["visits"] = {0: 2}
    world.set("visits_per_bed", last_run=world.now())
    assert after(announcer, world, 50) == []
    assert after(announcer, world, 30) == [1]


def test_a_failed_run_is_not_repeated_without_news(announcer, world):
    world.data["visits"] = {0: 2}
    assert after(announcer, world, 20) == [1]
    world.set("visits_per_bed", last_run=world.now())  # it ran and covered nothing
    assert after(announcer, world, 600) == []
    world.data["visits"] = {0: 3}
    assert after(announcer, world, 20) == [1]


def test_a_lost_announcement_is_repeated(announcer, world):
    """The DAG was not there when the event came: Airflow made no run of it."""
    world.data["visits"] = {0: 2}
    assert after(announcer, world, 20) == [1]
    assert after(announcer, world, 90) == [1]


def test_airflow_away_then_back_is_announced_and_logged_once(announcer, world):
    world.data["visits"] = {0: 2}
    world.away = True
    assert after(announcer, world, 300) == []
    assert world.log == ["Airflow: away"]
    world.away = False
    assert after(announcer, world, 20) == [1]
    assert world.log[1:] == ["visits_per_bed is due: visits +1", "Airflow: works again"]


def test_a_view_without_a_dag_yet_is_announced_when_it_has_one(announcer, world):
    world.data["visits"] = {0: 2}
    kept = world.airflow.pop("visits_per_bed")
    assert after(announcer, world, 30) == []
    world.airflow["visits_per_bed"] = kept
    assert after(announcer, world, 20) == [1]


def test_the_lower_view_first_then_the_upper_once(announcer, world):
    world.data = {"visits": {0: 2}, "beds": {0: 2}}
    assert after(announcer, world, 20) == [1]
    world.set("visits_per_bed", busy=True)
    assert after(announcer, world, 20) == []
    world.set("visits_per_bed", busy=False, last_run=world.now() - timedelta(seconds=30))
    world.covers["visits_per_bed"] = {"visits": {0: 2}}
    assert after(announcer, world, 20) == [2]


def test_a_lower_view_that_is_always_busy_does_not_starve_the_upper(announcer, world):
    found = []
    for position in range(2, 12):  # data flows on, each run of the lower view takes longer than a minute
        world.data["visits"] = {0: position}
        world.set("visits_per_bed", busy=True)
        found += after(announcer, world, 70)
        world.covers["visits_per_bed"] = {"visits": {0: position}}
        world.data["visits"] = {0: position + 1}
        world.set("visits_per_bed", busy=False, last_run=world.now() - timedelta(seconds=70))
        found += after(announcer, world, 4)
    assert found.count(2) >= 5


def test_a_lower_view_that_fails_does_not_hold_the_upper_for_ever(announcer, world):
    world.data = {"visits": {0: 2}, "beds": {0: 2}}
    assert after(announcer, world, 20) == [1]
    world.set("visits_per_bed", last_run=world.now())
    assert after(announcer, world, 300) == [2, 2, 2, 2, 2]  # Airflow's stand-in never runs it


def test_one_unreadable_table_holds_back_its_views_only(announcer, world):
    world.data = {"beds": {0: 2}}  # visits can't be read
    assert after(announcer, world, 20) == [2]
