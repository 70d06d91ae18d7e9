"""Switches of two live views of the example, while orders come in, with readers that ask all the time.

All that the example has runs beside it. HEADRACE_SWITCHES says how many of each, 4 unless told. Ten, at a thousand
changes a second: tests/engine/live/test_switches.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from functools import partial

import psycopg
from confluent_kafka import Consumer, TopicPartition

from headrace.live.run import run
from headrace.project import Project
from headrace.serve.database import connect
from tests.e2e.company import Company
from tests.engine.live.writer import FIRST, Known, State, asked

RATE = 10  # orders a second: some 150 changes
SWITCHES = int(os.environ.get("HEADRACE_SWITCHES", "4"))
VIEWS = PINGS, REVENUE = "couriers_now", "revenue_now"
DAY = "2020-01-01"  # in UTC
SHOWN = "revenue, refunded, orders, cancelled, customers"


class Orders(Known):
    """Orders that are each the only one of their restaurants, from the first change to the last."""

    insert = f"""INSERT INTO {{}} (total, restaurant_id, status, id, customer_id, placed_at)
        VALUES (%s, %s, %s, %s, 1, '{DAY} 12:00:00Z')"""
    update = "UPDATE {} SET total = %s, restaurant_id = %s, status = %s WHERE id = %s"
    kinds = ("placed", "delivered", "cancelled")

    def state(self, amount: Decimal, kind: str) -> State:
        cancelled = kind == "cancelled"
        return (Decimal(0) if cancelled else amount, Decimal(0), int(not cancelled), int(cancelled), 1)

    def open(self) -> Orders:
        """Makes their restaurants."""
        with psycopg.connect(self.address) as connection:
            for number in self.shops:
                query = "INSERT INTO restaurants (id, name, city, cuisine) VALUES (%s, %s, 'Bern', 'soup')"
                connection.execute(query, (number, f"restaurant {number}"))
        return self


def test_no_reader_sees_a_wrong_number_through_switches(company: Company, until: Callable[..., object]):
    project = company.project
    company.wait()  # both views were shown once
    orders = Orders(project.addresses.source(project.source("orders")), "orders").open()
    revenue = f"SELECT restaurant_id, {SHOWN} FROM live.{REVENUE} WHERE restaurant_id >= {FIRST} AND day = '{DAY}'"
    bus = Consumer({"bootstrap.servers": project.addresses.bus, "group.id": "test-cuts", "log_level": 2})
    with closing(bus), company.busy(RATE) as generator, orders.at_work():
        with (
            asked(project, f"SELECT SUM(pings) FROM live.{PINGS}", partial(sent, project, bus)) as pings,
            asked(project, revenue, orders.begun) as groups,
        ):
            until(lambda: any(rows for _, rows in groups[-5:]), 60, "the first orders are visible")
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(partial(switch, project), VIEWS))
        assert generator.poll() is None, "the generator ended before the switches did"
        generator.send_signal(signal.SIGINT)
        wrote = company.finish(generator)
    totals = [int(rows[0][0]) for _, rows in pings]
    print(f"{wrote['changes_per_second']} changes/s, {len(totals)} and {len(groups)} answers")
    assert totals == sorted(totals), "the number of pings went back"
    assert [t for (most, _), t in zip(pings, totals, strict=True) if t > most] == [], "pings that nobody sent"
    assert len(set(totals)) > SWITCHES
    assert not (wrong := orders.wrong(groups)), wrong
    assert orders.transactions > 10 * SWITCHES
    with connect(project) as connection:
        query = "SELECT view, state FROM ops.reconciliation WHERE view = ANY(%s) AND keys > 0"
        assert set(connection.execute(query, (list(VIEWS),)).fetchall()) == {(view, "equal") for view in VIEWS}


def switch(project: Project, view: str) -> None:
    """Runs the view until its cut has moved so often."""
    moved = 0
    while moved < SWITCHES:
        moved += run(project, project.job(view)).state == "succeeded"


def sent(project: Project, bus: Consumer) -> int:
    """How many pings were ever put on the bus, with repeats and broken ones."""
    topic, partitions = project.table("courier_pings").topic, range(project.settings.partitions)
    return sum(bus.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions)
