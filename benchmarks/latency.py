"""Commit in MariaDB → queryable in PostgreSQL: the alert view `large_failed_payment` beside the same made by hand.

    .venv/bin/python benchmarks/latency.py [-C DIR] [--rate 1000] [--seconds 15] [--rounds 3]

Both read the same topic (MariaDB → Debezium, exactly once → Kafka) on the same Flink and write by the same JDBC sink
with the same flush interval. The peer is plain SQL such as a data engineer would type: typed columns, one filter, one
sink, no topic of alerts, no validity rules. The two take turns, one running at a time. Every tenth payment is one to be
alerted, and ends a transaction; the clock runs from the return of its COMMIT until a reader, asking all the time,
sees its row.

Without -C the servers are started in a temporary folder, and stopped in the end. With -C DIR they are those of a
running project with the example's payments source; other jobs of it then run beside.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import yaml

from headrace.ingest import connectors, database
from headrace.local import platform, ports
from headrace.project import Project, load
from headrace.stream import ensure as stream
from headrace.stream.flink_rest import Flink
from headrace.stream.gateway import Gateway
from headrace.stream.plan import CHECKPOINT_SECONDS
from headrace.stream.sink import FLUSH, ROWS, jdbc

ROOT = Path(__file__).resolve().parents[1]
JOB = "large_failed_payment"
IN_TRANSACTION = 10  # payments; the last one is to be alerted
WARM = 3.0  # seconds at the start of each round that don't count
PAYMENTS = """CREATE TABLE IF NOT EXISTS payments (
  id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL, account_id BIGINT NOT NULL, amount DECIMAL(10,2) NOT NULL,
  method VARCHAR(20) NOT NULL, status VARCHAR(20) NOT NULL, created_at TIMESTAMP(6) NOT NULL DEFAULT NOW(6),
  updated_at TIMESTAMP(6) NOT NULL DEFAULT NOW(6))"""
ROW = (
    "ROW<id BIGINT, order_id BIGINT, account_id BIGINT, amount STRING, `method` STRING, status STRING,"
    " updated_at STRING>"
)


def main() -> None:
    """Measures, and prints both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-C", dest="directory", type=Path, help="a running project instead of servers of its own")
    parser.add_argument("--rate", type=int, default=1000, help="payments a second")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each side")
    given = parser.parse_args()
    if given.directory:
        measure(load(given.directory), given.rate, given.seconds, given.rounds)
        return
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        project = own_project(Path(folder))
        try:
            start(project)
            measure(project, given.rate, given.seconds, given.rounds)
        finally:
            platform.down(project)


def own_project(folder: Path) -> Project:
    """A project with the example's payments source and nothing else; its job is added when the servers are up."""
    settings = {"name": "latency", "local": {"ports": ports.suggestion(24000)}}
    source = "kind: mariadb\nconnection: {local: true}\ntables: {payments: payments.payments}\n"
    contract = (ROOT / "schemas" / "payments.yaml").read_text()
    files = {
        "headrace.yml": yaml.safe_dump(settings),
        "lake/sources/payments.yml": source,
        "schemas/payments.yaml": contract,
    }
    files[f"jobs/stream/{JOB}.sql"] = (ROOT / "jobs" / "stream" / f"{JOB}.sql").read_text()
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return load(folder)


def start(project: Project) -> None:
    """The servers of the path, the table before the connector that looks at it."""
    platform.up(project, {"source:payments"})
    with database.connect(project, project.source("payments")) as cursor:
        cursor.execute(PAYMENTS)
    platform.up(project, {"source:payments", "bus", "connect", "flink", "postgres"})
    end = time.monotonic() + 60
    while not all(s["state"] == "RUNNING" and not s["error"] for s in connectors.states(project)):
        if time.monotonic() > end:
            raise SystemExit(f"the connector does not run: {connectors.states(project)}")
        time.sleep(0.5)


def measure(project: Project, rate: int, seconds: float, rounds: int) -> None:
    """Alternates the two sides and prints what each commit took to be queryable, in milliseconds."""
    found: dict[str, list[float]] = {"headrace": [], "by hand": []}
    for side in found:  # every server and every code path once, before anything counts
        one_round(project, side, rate, WARM + 5)
    for number in range(rounds):
        for side in found if number % 2 == 0 else reversed(found):
            took, missing, sent = one_round(project, side, rate, seconds)
            found[side] += took
            print(
                f"  round {number + 1}, {side:9}: {shown(took)}   {sent / seconds:,.0f} changes/s, {missing} missing",
                flush=True,
            )
    stream.ensure(project, JOB)
    print(f"\ncommit in MariaDB → queryable in PostgreSQL, {rate:,} changes/s, flush {FLUSH}, milliseconds")
    for side, values in found.items():
        print(f"  {side:9}  {shown(values)}   of {len(values):,} alerts")
    ratios = [
        f"{name} {quantile(found['headrace'], q) / quantile(found['by hand'], q):.2f} ×"
        for name, q in (("p50", 0.5), ("p99", 0.99))
    ]
    print(f"  headrace / by hand: {', '.join(ratios)}")


def one_round(project: Project, side: str, rate: int, seconds: float) -> tuple[list[float], int, int]:
    """One side alone under load: latencies in milliseconds, alerts that never came, and payments written."""
    job_id = ""
    if side == "headrace":
        stream.ensure(project, JOB)
        table = f"alerts.{JOB}"
    else:
        stream.stop(project, JOB)
        job_id, table = by_hand(project), "alerts.by_hand"
        Flink(project.addresses.flink_rest).settled(job_id, 60)
    with database.connect(project, project.source("payments")) as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM payments")
        first = cursor.fetchone()[0] + 1
    committed: dict[int, float] = {}
    seen: dict[int, float] = {}
    enough = threading.Event()
    reader = threading.Thread(target=watch, args=(project, table, committed, seen, enough))
    reader.start()
    sent = write(project, first, rate, seconds, committed)
    end = time.monotonic() + 30
    while len(seen.keys() & committed.keys()) < len(committed) and time.monotonic() < end:
        time.sleep(0.1)
    enough.set()
    reader.join()
    if job_id:
        Flink(project.addresses.flink_rest).cancel(job_id)
    warm = min(committed.values()) + WARM
    took = [1000 * (seen[i] - at) for i, at in committed.items() if i in seen and at > warm]
    return took, len(committed.keys() - seen.keys()), sent


def write(project: Project, first: int, rate: int, seconds: float, committed: dict[int, float]) -> int:
    """Transactions of ten payments at an even rate; notes when each COMMIT returned. Returns the payments written."""
    many, began = int(rate * seconds) // IN_TRANSACTION, time.monotonic()
    insert = (
        "INSERT INTO payments (id, order_id, account_id, amount, method, status) VALUES (%s, 1, %s, %s, 'card', %s)"
    )
    with database.connect(project, project.source("payments")) as cursor:
        for number in range(many):
            time.sleep(max(0.0, began + number * IN_TRANSACTION / rate - time.monotonic()))
            ids = range(first + number * IN_TRANSACTION, first + (number + 1) * IN_TRANSACTION)
            rows = [(i, i % 500, "20.00", "captured") for i in ids[:-1]] + [(ids[-1], 7, "250.00", "failed")]
            cursor.execute("BEGIN")
            cursor.executemany(insert, rows)
            cursor.execute("COMMIT")
            committed[ids[-1]] = time.monotonic()
    return many * IN_TRANSACTION


def watch(
    project: Project, table: str, committed: dict[int, float], seen: dict[int, float], enough: threading.Event
) -> None:
    """Notes when each committed alert is first seen, asking for those still missing every few milliseconds."""
    query = f"SELECT payment_id FROM {table} WHERE payment_id = ANY(%s)"
    with psycopg.connect(project.addresses.serving("reader"), autocommit=True) as connection:
        while not enough.wait(0.002):
            pending = [i for i in list(committed) if i not in seen]
            rows = connection.execute(query, (pending,), prepare=True).fetchall()  # type: ignore[arg-type]
            now = time.monotonic()
            seen.update({found: now for (found,) in rows})


def by_hand(project: Project) -> str:
    """The peer: its table, its SQL, submitted to the same Flink with the same options; returns its job id."""
    a, name = project.addresses, "by hand"
    with psycopg.connect(a.serving(), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS alerts.by_hand (payment_id bigint PRIMARY KEY, order_id bigint,"
            " account_id bigint, amount numeric(10,2), method text, failed_at text)"
        )
    address, user, password = jdbc(a.serving())
    source = f"""CREATE TEMPORARY TABLE payments (op STRING, `after` {ROW}) WITH ('connector' = 'kafka',
      'topic' = '{project.table("payments").topic}', 'properties.bootstrap.servers' = '{a.bus}',
      'properties.group.id' = 'bench-by-hand', 'properties.isolation.level' = 'read_committed',
      'scan.startup.mode' = 'latest-offset', 'format' = 'json', 'json.ignore-parse-errors' = 'true')"""
    sink = f"""CREATE TEMPORARY TABLE by_hand (payment_id BIGINT, order_id BIGINT, account_id BIGINT,
      amount DECIMAL(10, 2), `method` STRING, failed_at STRING, PRIMARY KEY (payment_id) NOT ENFORCED) WITH (
      'connector' = 'jdbc', 'url' = '{address}', 'table-name' = 'alerts.by_hand',
      'username' = '{user}', 'password' = '{password}',
      'sink.buffer-flush.interval' = '{FLUSH}', 'sink.buffer-flush.max-rows' = '{ROWS}')"""
    insert = """INSERT INTO by_hand SELECT `after`.id, `after`.order_id, `after`.account_id,
      CAST(`after`.amount AS DECIMAL(10, 2)), `after`.`method`, `after`.updated_at FROM payments
      WHERE `after`.status = 'failed' AND CAST(`after`.amount AS DECIMAL(10, 2)) > 100"""
    options = {
        "execution.checkpointing.interval": f"{CHECKPOINT_SECONDS} s",
        "pipeline.name": name,
        "parallelism.default": "1",
    }
    with Gateway(a.flink_gateway, options) as gateway:
        gateway.run(source)
        gateway.run(sink)
        return gateway.run(insert).job_id


def quantile(values: list[float], q: float) -> float:
    """The q-quantile, without a library."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


def shown(values: list[float]) -> str:
    """p50, p99 and the largest, in milliseconds."""
    return f"p50 {quantile(values, 0.5):5.0f}  p99 {quantile(values, 0.99):5.0f}  max {max(values, default=0):5.0f}"


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
