"""Ten switches of two live views on the running platform, under load, with readers that ask all the time.

The generator writes 1,000 changes a second. HEADRACE_TESTS_RATE says how many orders a second, of some 15 changes each.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from headrace.live.run import run
from headrace.project import Project
from headrace.serve.database import connect
from tests.e2e import oracle
from tests.e2e.company import Company
from tests.e2e.writer import DAY, FIRST, STATE, Writer, first_wrong

RATE = float(os.environ.get("HEADRACE_TESTS_RATE", "67"))
SWITCHES = 10
PINGS, REVENUE = "couriers_now", "revenue_now"
PACE = 0.02  # seconds between two questions of a reader


def test_ten_switches_under_load_and_no_reader_sees_a_wrong_number(company: Company, until: Callable[..., object]):
    project = company.project
    bus = Consumer({"bootstrap.servers": project.addresses.bus, "group.id": "test-live"})
    with company.busy(RATE) as generator, Writer(project) as writer:
        revenue = f"SELECT restaurant_id, {STATE} FROM live.{REVENUE} WHERE restaurant_id >= {FIRST} AND day = '{DAY}'"
        with (
            asked(project, f"SELECT SUM(pings) FROM live.{PINGS}", partial(sent, project, bus)) as pings,
            asked(project, revenue, writer.begun) as groups,
        ):
            until(lambda: any(rows for _, rows in groups[-5:]), 60, "the writer's orders are visible")
            switched = {view: switches(project, view) for view in (PINGS, REVENUE)}
        assert generator.poll() is None, "the generator ended before the switches did"
        generator.send_signal(signal.SIGINT)
        wrote = company.finish(generator)
    print(f"{wrote['changes_per_second']} changes a second, {len(pings)} and {len(groups)} answers, {switched}")
    totals = [int(rows[0][0]) for _, rows in pings]
    assert totals == sorted(totals), "the number of pings went back"
    assert [t for (most, _), t in zip(pings, totals, strict=True) if t > most] == [], "pings that nobody sent"
    for restaurant, states in writer.states.items():
        seen = [(begun[restaurant], {r: tuple(s) for r, *s in rows}.get(restaurant)) for begun, rows in groups]
        assert not (wrong := first_wrong(states, seen)), f"restaurant {restaurant}: {wrong}"
    assert len(set(totals)) > SWITCHES and writer.transactions > SWITCHES
    assert reconciled(project) == {PINGS: {"equal"}, REVENUE: {"equal"}}
    company.wait()
    assert oracle.differences(project) == {}


def switches(project: Project, view: str) -> int:
    """Runs the view until its cut has moved so often."""
    moved = 0
    while moved < SWITCHES:
        moved += run(project, project.job(view)).state == "succeeded"
    return moved


@contextmanager
def asked(project: Project, query: str, after: Callable[[], Any]) -> Iterator[list[tuple[Any, list[Any]]]]:
    """Asks the query all the time while the block runs; yields the list of what `after` said then, and the rows."""
    found: list[tuple[Any, list[Any]]] = []
    errors: list[BaseException] = []
    stop = Event()

    def ask() -> None:
        try:
            with connect(project, "reader") as connection:
                while not stop.wait(PACE):
                    rows = connection.execute(query).fetchall()  # type: ignore[arg-type]
                    found.append((after(), rows))
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
    assert not errors, errors


def sent(project: Project, bus: Consumer) -> int:
    """How many pings were ever put on the bus, with repeats and broken ones."""
    topic, partitions = project.table("courier_pings").topic, range(project.settings.partitions)
    return sum(bus.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions)


def reconciled(project: Project) -> dict[str, set[str]]:
    """What the comparisons before the last switches of both views said."""
    query = """SELECT view, state FROM (SELECT view, state, row_number() OVER (PARTITION BY view ORDER BY id DESC)
        AS n FROM ops.reconciliation WHERE view = ANY(%s)) AS r WHERE n <= %s"""
    with connect(project) as connection:
        rows = connection.execute(query, ([PINGS, REVENUE], SWITCHES)).fetchall()
    return {view: {state for name, state in rows if name == view} for view, _ in rows}
