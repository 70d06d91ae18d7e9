"""Commit in MariaDB → visible in a live view, beside the same sums by a Flink job made by hand.

    .venv/bin/python benchmarks/live_latency.py [--rate 1000] [--seconds 15] [--rounds 2]

Both read the same topic (MariaDB → Debezium, exactly once → Kafka) on the same Flink and write by the same JDBC sink
with the same flush interval; landing runs beside both. The live view is payments per account: batch rows up to its cut,
speed rows from there on, added up when it is read. The peer is plain SQL such as a data engineer would type: the topic
as a changelog (`debezium-json`), SUM and COUNT by account, one upsert sink; no cut, nothing to merge, no way to be
compared or begun anew. The two take turns, one running at a time. Transactions have ten changes, three of them updates.
The last payment of each goes to one of a hundred accounts in turn, of which a reader asks for the counts all the time:
the clock runs from the return of COMMIT until the account has as many payments as were committed. After each round of
the live view its sums must be those of MariaDB.

The servers are started in a temporary folder, and stopped in the end.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import psycopg
import yaml
from latency import CHECKPOINT_SECONDS, FLUSH, PAYMENTS, ROOT, ROWS, WARM, quantile, shown

from headrace.ingest import connectors, database
from headrace.live.run import run
from headrace.local import platform, ports
from headrace.project import Project, load
from headrace.project.live import live_view
from headrace.serve import live as serve
from headrace.serve.database import connect
from headrace.sql.live import tables
from headrace.stream import speed
from headrace.stream.flink_rest import Flink
from headrace.stream.gateway import Gateway
from headrace.stream.sink import jdbc

VIEW = "account_payments"
QUERY = "SELECT account_id, SUM(amount) AS total, COUNT(*) AS payments FROM payments GROUP BY account_id"
SOURCE = "kind: mariadb\nconnection: {local: true}\ntables: {payments: payments.payments}\n"
INSERT = """INSERT INTO payments (id, order_id, account_id, amount, method, status)
VALUES (%s, 1, %s, %s, 'card', 'captured')"""
TABLES = {"live": f"live.{VIEW}", "by hand": "batch.by_hand"}
ACCOUNTS, ASKED, NEW, UPDATED = 500, 100, 6, 3  # accounts; those asked for in a round; inserts and updates before them
PARTS = {"source:payments", "bus", "connect", "flink", "postgres", "spark", "landing"}
SETTLE = 60.0
_rounds = count(1)


def main() -> None:
    """Measures, and prints both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, help="changes a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=2, help="of each side")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        project = own_project(Path(folder))
        try:
            start(project)
            measure(project, given.rate, given.seconds, given.rounds)
        finally:
            platform.down(project)


def own_project(folder: Path) -> Project:
    """A project with the example's payments source, and one live view."""
    files = {
        "headrace.yml": yaml.safe_dump({"name": "live-latency", "local": {"ports": ports.suggestion(27000)}}),
        "lake/sources/payments.yml": SOURCE,
        "schemas/payments.yaml": (ROOT / "schemas" / "payments.yaml").read_text(),
        f"jobs/batch/{VIEW}.sql": f"-- live: true\n{QUERY}\n",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return load(folder)


def start(project: Project) -> None:
    """The servers of the path, the table before the connector that looks at it, and the first run of the view."""
    platform.up(project, {"source:payments"})
    with database.connect(project, project.source("payments")) as cursor:
        cursor.execute(PAYMENTS)
    platform.up(project, PARTS)
    end = time.monotonic() + SETTLE
    while not all(s["state"] == "RUNNING" and not s["error"] for s in connectors.states(project)):
        if time.monotonic() > end:
            raise SystemExit(f"the connector does not run: {connectors.states(project)}")
        time.sleep(0.5)
    run(project, project.job(VIEW))


def measure(project: Project, rate: int, seconds: float, rounds: int) -> None:
    """Alternates the two sides and prints what each commit took to be visible, in milliseconds."""
    found: dict[str, list[float]] = {side: [] for side in TABLES}
    for number in range(-1, rounds):  # every server and every code path once, before anything counts
        name, lasting = (f"round {number + 1}", seconds) if number >= 0 else ("warm-up", WARM + 5)
        for side in found if number % 2 == 0 else reversed(found):
            took, missing, sent = one_round(project, side, rate, lasting)
            found[side] += took if number >= 0 else []
            said = f"{sent / lasting:,.0f} changes/s, {missing} missing"
            print(f"  {name}, {side:8}: {shown(took)}   {said}", flush=True)
    print(f"\ncommit in MariaDB → visible in PostgreSQL, {rate:,} changes/s, flush {FLUSH}, milliseconds")
    for side, values in found.items():
        print(f"  {side:8}  {shown(values)}   of {len(values):,} commits")
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        live, hand = (quantile(found[side], q) for side in TABLES)
        print(f"  {name}: live {live:.0f}, by hand {hand:.0f}: ratio {live / hand:.2f}")


def one_round(project: Project, side: str, rate: int, seconds: float) -> tuple[list[float], int, int]:
    """One side alone under load: latencies in milliseconds, commits that were never seen, and changes written."""
    view = live_view(project, project.job(VIEW))
    job_id = ""
    if side == "live":
        run(project, project.job(VIEW))
        settled(project, view)
    else:
        speed.stop(project, VIEW, tables.version(view))
        job_id = by_hand(project)
        Flink(project.addresses.flink_rest).settled(job_id, SETTLE)
    first = 1000 * next(_rounds)  # the accounts that this round asks for
    committed: dict[int, float] = {}
    seen: dict[int, float] = {}
    enough = threading.Event()
    reader = threading.Thread(target=watch, args=(project, TABLES[side], first, committed, seen, enough))
    reader.start()
    sent = write(project, first, rate, seconds, committed)
    end = time.monotonic() + 30
    while len(seen) < len(committed) and time.monotonic() < end:
        time.sleep(0.1)
    enough.set()
    reader.join()
    if job_id:
        Flink(project.addresses.flink_rest).cancel(job_id)
    else:
        agrees(project)
    warm = min(committed.values()) + WARM
    took = [1000 * (seen[n] - at) for n, at in committed.items() if n in seen and at > warm]
    return took, len(committed.keys() - seen.keys()), sent


def settled(project: Project, view) -> None:  # type: ignore[no-untyped-def]
    """Waits until a speed job that was begun anew shows what is committed."""
    with closing(connect(project)) as connection:
        known = serve.published(connection, VIEW)
    assert known and known.version == tables.version(view)
    if not speed.wait_until(project, view, {"payments": known.landed}, SETTLE):
        raise SystemExit("the speed job does not catch up")


def write(project: Project, first: int, rate: int, seconds: float, committed: dict[int, float]) -> int:
    """Transactions at an even rate; notes when each COMMIT returned. Returns the number of changes.

    The n-th is visible when account first + n % ASKED has n // ASKED + 1 payments.
    """
    each, chance = NEW + UPDATED + 1, random.Random(first)
    many, began = int(rate * seconds) // each, time.monotonic()
    with database.connect(project, project.source("payments")) as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM payments")
        start = next_id = cursor.fetchone()[0]
        for number in range(many):
            time.sleep(max(0.0, began + number * each / rate - time.monotonic()))
            accounts = [chance.randrange(ACCOUNTS) for _ in range(NEW)] + [first + number % ASKED]
            rows = [
                (next_id + i, account, f"{chance.randrange(100, 9999) / 100:.2f}") for i, account in enumerate(accounts)
            ]
            cursor.execute("BEGIN")
            if number:
                changed = [
                    (chance.randrange(100, 9999) / 100, chance.randrange(start, next_id)) for _ in range(UPDATED)
                ]
                cursor.executemany("UPDATE payments SET amount = %s WHERE id = %s", changed)
            cursor.executemany(INSERT, rows)
            cursor.execute("COMMIT")
            committed[number] = time.monotonic()
            next_id += len(rows)
    return many * each


def watch(
    project: Project,
    table: str,
    first: int,
    committed: dict[int, float],
    seen: dict[int, float],
    enough: threading.Event,
) -> None:
    """Notes when each commit is first seen, asking for the accounts of those still missing every few milliseconds."""
    query = f"SELECT account_id, payments FROM {table} WHERE account_id = ANY(%s)"
    with psycopg.connect(project.addresses.serving("reader"), autocommit=True) as connection:
        while not enough.wait(0.002):
            pending = [n for n in list(committed) if n not in seen]
            accounts = list({first + n % ASKED for n in pending})
            there = dict(connection.execute(query, (accounts,), prepare=True).fetchall())  # type: ignore[arg-type]
            now = time.monotonic()
            seen.update({n: now for n in pending if there.get(first + n % ASKED, 0) > n // ASKED})


def by_hand(project: Project) -> str:
    """The peer: its table, its SQL, submitted to the same Flink with the same options; returns its job id."""
    a = project.addresses
    table = TABLES["by hand"]
    with psycopg.connect(a.serving(), autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {table}")  # type: ignore[arg-type]
        connection.execute(
            f"CREATE TABLE {table} (account_id bigint PRIMARY KEY, total numeric(20,2), payments bigint)"  # type: ignore[arg-type]
        )
        connection.execute(f"GRANT SELECT ON {table} TO reader")  # type: ignore[arg-type]
    address, user, password = jdbc(a.serving())
    source = f"""CREATE TEMPORARY TABLE payments (id BIGINT, account_id BIGINT, amount STRING) WITH (
      'connector' = 'kafka', 'topic' = '{project.table("payments").topic}', 'properties.bootstrap.servers' = '{a.bus}',
      'properties.group.id' = 'bench-by-hand', 'properties.isolation.level' = 'read_committed',
      'scan.startup.mode' = 'latest-offset', 'format' = 'debezium-json',
      'debezium-json.ignore-parse-errors' = 'true')"""
    sink = f"""CREATE TEMPORARY TABLE by_hand (account_id BIGINT, total DECIMAL(20, 2), payments BIGINT,
      PRIMARY KEY (account_id) NOT ENFORCED) WITH ('connector' = 'jdbc', 'url' = '{address}', 'table-name' = '{table}',
      'username' = '{user}', 'password' = '{password}',
      'sink.buffer-flush.interval' = '{FLUSH}', 'sink.buffer-flush.max-rows' = '{ROWS}')"""
    insert = """INSERT INTO by_hand SELECT account_id, CAST(SUM(CAST(amount AS DECIMAL(10, 2))) AS DECIMAL(20, 2)),
      COUNT(*) FROM payments GROUP BY account_id"""
    options = {
        "execution.checkpointing.interval": f"{CHECKPOINT_SECONDS} s",
        "pipeline.name": "by hand",
        "parallelism.default": "1",
    }
    with Gateway(a.flink_gateway, options) as gateway:
        gateway.run(source)
        gateway.run(sink)
        return gateway.run(insert).job_id


def agrees(project: Project) -> None:
    """Ends the benchmark when the live view does not come to show the sums of MariaDB."""
    end = time.monotonic() + 10
    with database.connect(project, project.source("payments")) as cursor:
        cursor.execute(QUERY)
        wanted = sorted(tuple(row) for row in cursor.fetchall())
    with connect(project, "reader") as connection:
        query = f"SELECT account_id, total, payments FROM {TABLES['live']}"
        while sorted(connection.execute(query).fetchall()) != wanted:  # type: ignore[arg-type]
            if time.monotonic() > end:
                raise SystemExit("the live view does not show the sums of MariaDB")
            time.sleep(0.1)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
