"""Readers of live views under load, while the batch layer takes over ten times: every number they see was committed."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import date

import pymysql
from psycopg import Connection

from headrace.live.run import run
from headrace.project import Project
from headrace.serve.database import connect
from tests.e2e import oracle, truth
from tests.e2e.company import Company
from tests.e2e.writer import CORRECTED, COUNTED, FIRST_DAY, MOVED, OURS, PRICE, Writer

# Orders a second, each some 15 changes. 67 are 1,000 changes a second; two cores then have little left for Spark.
RATE = float(os.environ.get("HEADRACE_TESTS_RATE", "20"))
SWITCHES = 10
MOST = 600  # seconds that they may take; an idle machine needs 40
EVERY = 0.1  # seconds between two looks
REVENUE, SUCCESS = "revenue_now", "payment_success_now"
CUT = "(SELECT cut FROM ops.live_views WHERE view = '{}')"
OF_OURS = f"""SELECT {CUT.format(REVENUE)}, r.restaurant_id, r.day, r.revenue, r.orders
FROM (SELECT 1) AS one LEFT JOIN live.{REVENUE} AS r ON r.restaurant_id >= {OURS}"""
ATTEMPTS = f"SELECT {CUT.format(SUCCESS)}, SUM(attempts) FROM live.{SUCCESS}"


class Reader(threading.Thread):
    """Looks at two live views until told to stop, and notes what no committed state of the sources explains.

    Each look at a view is one statement. Orders of COUNTED and payments are only ever inserted: their numbers must not
    go back, nor ever be more than there are. A total of CORRECTED was committed. The order of MOVED is on one day after
    the other: no day has it that was not begun yet, or a second time, or has another number or amount.
    """

    def __init__(self, project: Project, writer: Writer) -> None:
        super().__init__()
        self.project, self.writer, self.enough = project, writer, threading.Event()
        self.wrong: list[str] = []
        self.cuts: dict[str, set[int]] = {REVENUE: set(), SUCCESS: set()}
        self.seen: dict[int | str, set[int]] = {COUNTED: set(), CORRECTED: set(), MOVED: set(), SUCCESS: set()}
        self.last: dict[int | str, int] = dict.fromkeys(self.seen, 0)
        self.left: set[int] = set()  # days on which the order of MOVED was, and no longer is
        self.looks = 0
        self.failed: Exception | None = None

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()
        if self.failed:
            raise self.failed

    def run(self) -> None:
        try:
            with connect(self.project, "reader") as connection, truth.mariadb(self.project, "payments") as payments:
                while not self.enough.wait(EVERY):
                    self._revenue(connection)
                    self._attempts(connection, payments)
                    self.looks += 1
        except Exception as error:
            self.failed = error

    def _revenue(self, connection: Connection) -> None:
        rows = connection.execute(OF_OURS).fetchall()  # type: ignore[arg-type] - a constant
        begun = dict(self.writer.begun)
        self.cuts[REVENUE].add(rows[0][0])
        groups = {(row[1], row[2]): row[3:] for row in rows if row[1]}
        if len(groups) < len([row for row in rows if row[1]]):
            self.wrong.append(f"a group is there twice: {rows}")
        first = date.fromisoformat(FIRST_DAY)
        for restaurant in (COUNTED, CORRECTED):
            revenue, orders = groups.get((restaurant, first), (0, 0))
            self._grown(restaurant, int(revenue), begun[restaurant])
            if orders != (revenue if restaurant == COUNTED else (restaurant, first) in groups):
                self.wrong.append(f"{restaurant}: {orders} orders of {revenue}")
        days = {(day - first).days: values for (restaurant, day), values in groups.items() if restaurant == MOVED}
        for day, values in days.items():
            if values != (PRICE, 1) or day > begun[MOVED] or day in self.left:
                self.wrong.append(f"day {day} of {begun[MOVED]} has {values}; gone before: {day in self.left}")
        self.left |= {day for day in self.seen[MOVED] if day not in days}
        self.seen[MOVED] |= days.keys()

    def _attempts(self, connection: Connection, payments: pymysql.Connection) -> None:
        row = connection.execute(ATTEMPTS).fetchone()  # type: ignore[arg-type] - a constant
        assert row
        with payments.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM payments")
            committed = cursor.fetchone()
        assert committed
        self.cuts[SUCCESS].add(row[0])
        self._grown(SUCCESS, int(row[1]), committed[0])

    def _grown(self, what: int | str, now: int, most: int) -> None:
        if not self.last[what] <= now <= most:
            self.wrong.append(f"{what}: {now} after {self.last[what]}, at most {most} were committed")
        self.last[what] = now
        self.seen[what].add(now)


def test_readers_through_ten_switches_see_only_what_was_committed(company: Company):
    company.wait()  # every view was published
    project = company.project
    job = project.job(REVENUE)
    began, deadline = time.monotonic(), time.monotonic() + MOST
    with company.busy(RATE) as generator, Writer(project) as writer, Reader(project, writer) as reader:
        while len(reader.cuts[REVENUE]) <= SWITCHES and reader.is_alive():
            assert time.monotonic() < deadline, f"only {len(reader.cuts[REVENUE]) - 1} switches"
            run(project, job)
        assert generator.poll() is None, "the generator ended before its time"
        took = time.monotonic() - began
        generator.send_signal(signal.SIGINT)
        wrote = company.finish(generator)
    assert reader.wrong == []
    assert all(len(values) > 3 * SWITCHES for values in reader.seen.values()), "readers saw little of what came"
    company.wait()
    assert oracle.differences(project) == {}
    with connect(project, "reader") as connection:
        rows = connection.execute(OF_OURS).fetchall()  # type: ignore[arg-type] - a constant
        states = connection.execute("SELECT DISTINCT state FROM ops.reconciliation ORDER BY state").fetchall()
    assert {row[1]: (row[3], (row[2] - date.fromisoformat(FIRST_DAY)).days) for row in rows} == {
        COUNTED: (writer.done[COUNTED], 0),
        CORRECTED: (writer.done[CORRECTED], 0),
        MOVED: (PRICE, writer.done[MOVED]),
    }
    assert ("equal",) in states and ("different",) not in states
    switches = {view: len(cuts) - 1 for view, cuts in reader.cuts.items()}
    print(f"{switches} switches in {took:.0f} s, {wrote['changes_per_second']} changes a second, {reader.looks} looks")
