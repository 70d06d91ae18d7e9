"""The clock: as many orders as asked, at the rate asked, steps in order; tried on services that only take notes."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from demo import live
from demo.counts import Counts
from demo.live import Live


class Notes:
    """A service that writes down what it is told."""

    def __init__(self, notes: list[tuple[str, dict[str, Any]]]) -> None:
        self.notes, self.numbers = notes, itertools.count(1)

    def __getattr__(self, verb: str) -> Any:
        return lambda **data: self.notes.append((verb, data))

    def ids(self, table: str) -> list[int]:
        return [next(self.numbers) for _ in range(10)]

    def customers(self) -> list[int]:
        return list(range(1, 50))

    def publish(self, at: Any) -> None: ...

    def flush(self) -> None: ...


@pytest.fixture
def notes() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, notes: list) -> Live:  # type: ignore[type-arg]
    monkeypatch.setattr(live, "TAIL", 0.3)
    one = Notes(notes)
    names = ("orders", "payments", "loyalty", "events", "prices", "partner", "reviews", "areas")
    services: Any = SimpleNamespace(**dict.fromkeys(names, one), counts=Counts())
    return Live(services, seed=1, rate=100)


def test_so_many_orders_are_placed_at_the_rate(clock: Live, notes: list):  # type: ignore[type-arg]
    clock.run(40)
    assert clock.placed == 40
    assert [verb for verb, _ in notes].count("place") == 40
    assert 0.35 <= clock.placing <= 5, "40 orders at 100 a second take 0.39 s, more on a busy machine"
    assert 0 < clock.on_the_road <= 40, "nobody delivers within 0.3 s"


def test_ids_are_never_used_twice(clock: Live, notes: list):  # type: ignore[type-arg]
    clock.run(40)
    ids = [data["order"].id for verb, data in notes if verb == "place"]
    assert len(set(ids)) == 40


def test_stop_ends_a_run_without_end(clock: Live):
    threading.Timer(0.3, clock.stop).start()
    began = time.monotonic()
    clock.run(None)
    assert clock.placed > 0
    assert time.monotonic() - began < 10


def test_an_error_in_a_service_ends_the_run(clock: Live):
    def fail(**_: Any) -> None:
        raise RuntimeError("the disk is full")

    clock.services.orders = SimpleNamespace(place=fail, ids=Notes([]).ids, customers=list)
    with pytest.raises(RuntimeError, match="disk is full"):
        clock.run(1000)
