"""The platform that is struck: a MariaDB, all from capture to Airflow, an alert view, a live view and a batch view."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import psycopg
import pymysql
import yaml

from demo.payments import connect as to_mariadb
from demo.schema import PAYMENTS
from headrace.audit import flow
from headrace.audit.certificate import audit
from headrace.errors import HeadraceError
from headrace.live.run import run
from headrace.local import platform, ports
from headrace.project import Project, load
from headrace.serve.database import connect
from tests.chaos.faults import heal

ROOT = Path(__file__).parents[2]
ALERT, LIVE, BATCH = "large_failed_payment", "payments_of_account", "payments_by_method"
SOURCE = "kind: mariadb\nconnection: {local: true}\ntables: {payments: payments.payments}\n"
SUMS = "COUNT(*) AS payments, SUM(amount) AS total FROM payments GROUP BY"
WATCHED = 20.0  # seconds after a fault in which alerts must come as they did before
PROBES = 10_000_000  # numbers of payments that must raise an alert begin here
CLUSTER = {"brokers": 3, "task_managers": 2, "spark_workers": 2, "landing_workers": 2}
RATE, PROBE_SECONDS = 100.0, 0.25  # changes a second of the load; between two probes
CAUGHT_UP = 240.0


def made(folder: Path, cluster: bool = False) -> Project:
    """A project of its own in the folder; the one that is there already, where a run goes on. A `cluster` has two or
    three of each part that can be more than one."""
    if (folder / "headrace.yml").exists():
        return load(folder)
    shared = "-- parallelism: 2\n" if cluster else ""
    local: dict[str, int] = {"ports": ports.suggestion(28000)} | (CLUSTER if cluster else {})
    files = {
        "headrace.yml": yaml.safe_dump({"name": "chaos", "chunk_seconds": 2, "local": local}),
        "lake/sources/payments.yml": SOURCE,
        f"jobs/batch/{LIVE}.sql": f"-- live: true\n{shared}SELECT account_id, {SUMS} account_id\n",
        f"jobs/batch/{BATCH}.sql": f"SELECT method, {SUMS} method\n",
    }
    for path in ("schemas/payments.yaml", f"jobs/stream/{ALERT}.sql"):
        files[path] = (ROOT / path).read_text()
    alert = f"jobs/stream/{ALERT}.sql"
    files[alert] = files[alert].replace("-- severity", f"{shared}-- severity")
    contract = yaml.safe_load(files["schemas/payments.yaml"])
    for column in contract["schema"][0]["properties"]:
        column.pop("quality", None)  # it speaks of tables that are not here
    files["schemas/payments.yaml"] = yaml.safe_dump(contract, sort_keys=False)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    shutil.copytree(ROOT / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return load(folder)


class World:
    """The platform and who writes to its source. `close` stops both."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.source = project.source("payments")
        self.probes: dict[int, float] = {}  # number of an alert's payment → when its COMMIT returned
        self.seen: dict[int, float] = {}  # and when a reader first saw its alert
        self.written = 0  # transactions of the load
        self._looker: psycopg.Connection | None = None
        self._wrong: set[str] = set()  # what was wrong before
        self._next, self._stop = PROBES, threading.Event()
        self._threads: list[threading.Thread] = []

    def up(self) -> None:
        heal(self.project)
        platform.up(self.project, {"source:payments"})
        with to_mariadb(self._address) as database, database.cursor() as cursor:
            for statement in PAYMENTS:
                cursor.execute(statement)
            cursor.execute("SELECT COALESCE(MAX(id), 0) FROM payments")
            self._next = max(PROBES, int(cursor.fetchone()[0]) + 1)  # type: ignore[index]
        platform.up(self.project)
        flow.wait(self.project, CAUGHT_UP)

    def close(self) -> None:
        platform.down(self.project)

    @property
    def _address(self) -> str:
        return self.project.addresses.source(self.source)

    def begin(self) -> None:
        """Load, probes and reader, each in a thread, until `end`."""
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._always, args=(w,)) for w in (self._load, self._probe, self._read)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def recovered(self, since: float, over: float, watched: float = WATCHED) -> float:
        """The longest that an alert took: seconds from the COMMIT of its payment to a reader, of payments from `since`
        (monotonic) until `watched` seconds after the fault was `over`: some faults are felt only then. While no payment
        could be committed at all, the clock runs from `since`.
        """
        end, until = time.monotonic() + CAUGHT_UP, over + watched
        while time.monotonic() < end:
            concerned = {n: at for n, at in dict(self.probes).items() if since < at < until}
            if time.monotonic() > until and concerned and concerned.keys() <= dict(self.seen).keys():
                first = min(concerned.values()) - since  # the source itself was away
                pauses = [self.seen[n] - at for n, at in concerned.items()]
                return max([*pauses, first if first > 4 * PROBE_SECONDS else 0.0])
            time.sleep(0.05)
        raise HeadraceError(f"not every alert within {CAUGHT_UP:.0f} s")

    def wrong(self) -> list[str]:
        """What is lost, double or different that was not so after the trial before; nothing must write meanwhile.

        Everything written is everywhere first, every server runs, and the live view has moved its cut once more.
        """
        found = set(self._look())
        new, self._wrong = sorted(found - self._wrong), found
        return new

    def _look(self) -> list[str]:
        self._all_run()
        flow.wait(self.project, CAUGHT_UP)
        run(self.project, self.project.job(LIVE))
        certificates = audit(self.project, self.source)
        found = [f"{c.table.name}: {c.verdict}" for c in certificates if c.verdict != "proven"]
        ask = {
            LIVE: f"SELECT account_id, {SUMS} account_id",
            BATCH: f"SELECT method, {SUMS} method",
            ALERT: "SELECT id, amount FROM payments WHERE status = 'failed' AND amount > 100",
        }
        shown = {
            LIVE: f"SELECT account_id, payments, total FROM live.{LIVE}",
            BATCH: f"SELECT method, payments, total FROM batch.{BATCH}",
            ALERT: f"SELECT payment_id, amount FROM alerts.{ALERT}",
        }
        with (
            to_mariadb(self._address) as database,
            database.cursor() as cursor,
            connect(self.project, "reader") as reader,
        ):
            for view, query in ask.items():
                cursor.execute(query)
                wanted = Counter(map(tuple, cursor.fetchall()))
                got = Counter(reader.execute(shown[view]).fetchall())  # type: ignore[arg-type]
                if wanted != got:
                    found.append(f"{view}: {(wanted - got).total()} lost, {(got - wanted).total()} too many")
            query = "SELECT count(*) FROM ops.reconciliation WHERE state = 'different'"
            different = reader.execute(query).fetchone()
            if different and different[0]:
                found.append(f"the layers differed {different[0]} times")
        return found

    def _all_run(self) -> None:
        end = time.monotonic() + CAUGHT_UP
        while away := [str(row["server"]) for row in platform.status(self.project) if row["state"] != "running"]:
            if time.monotonic() > end:
                raise HeadraceError(f"not running again: {', '.join(away)}")
            time.sleep(0.5)

    def run(self) -> None:
        """A switch of the live view; a part may be away."""
        with suppress(HeadraceError, psycopg.Error):
            run(self.project, self.project.job(LIVE))

    def compared(self) -> int:
        """How often the layers of the live view were compared, which each run does just before it switches."""
        with suppress(HeadraceError, psycopg.Error):
            self._looker = self._looker or connect(self.project)
            row = self._looker.execute("SELECT count(*) FROM ops.reconciliation WHERE view = %s", (LIVE,)).fetchone()
            return int(row[0]) if row else 0
        self._looker = None
        return 0

    def _always(self, work: Callable[[], None]) -> None:
        """What writes and reads goes on when its server comes back."""
        while not self._stop.is_set():
            with suppress(pymysql.MySQLError, psycopg.Error, HeadraceError, OSError):
                work()
            self._stop.wait(0.2)

    def _load(self) -> None:
        chance = Random(time.time_ns())
        with to_mariadb(self._address) as database, database.cursor() as cursor:
            cursor.execute("SELECT COALESCE(MAX(id), 0) FROM payments WHERE id < %s", (PROBES,))
            number = int(cursor.fetchone()[0])  # type: ignore[index]
            while not self._stop.wait(10 / RATE):
                cursor.execute("BEGIN")
                for _ in range(6):
                    number += 1
                    row = (
                        number,
                        chance.randrange(200),
                        chance.randrange(100, 9000) / 100,
                        chance.choice(("card", "wallet")),
                    )
                    cursor.execute(
                        "INSERT INTO payments (id, order_id, account_id, amount, method, status)"
                        " VALUES (%s, 1, %s, %s, %s, 'authorised')",
                        row,
                    )
                for change in ("UPDATE payments SET amount = amount + 1 WHERE id = %s",) * 3:
                    cursor.execute(change, (chance.randrange(number) + 1,))
                cursor.execute("DELETE FROM payments WHERE id = %s", (chance.randrange(number) + 1,))
                cursor.execute("COMMIT")
                self.written += 1

    def _probe(self) -> None:
        with to_mariadb(self._address) as database, database.cursor() as cursor:
            while not self._stop.wait(PROBE_SECONDS):
                self._next += 1
                cursor.execute(
                    "INSERT INTO payments (id, order_id, account_id, amount, method, status)"
                    " VALUES (%s, 1, 1, 150, 'card', 'failed')",
                    (self._next,),
                )
                self.probes[self._next] = time.monotonic()

    def _read(self) -> None:
        query = f"SELECT payment_id FROM alerts.{ALERT} WHERE payment_id > %s"
        with connect(self.project, "reader") as reader:
            while not self._stop.wait(0.05):
                waits = [n for n in list(self.probes) if n not in self.seen]
                if waits:
                    now_there = reader.execute(query, (min(waits) - 1,)).fetchall()  # type: ignore[arg-type]
                    now = time.monotonic()
                    self.seen.update({n: now for (n,) in now_there if n not in self.seen})
