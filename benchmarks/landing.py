"""A loaded topic → Delta: the landing worker beside Spark Structured Streaming, in the same run, taking turns.

    .venv/bin/python benchmarks/landing.py [--rows 500000] [--rounds 3]

The topic holds changes as Debezium writes them (payments of the example, a third of them updates). Headrace parses each
message, checks both images against the contract and lands it with its position, exactly once. The peer does what a
few lines of Spark do: split the envelope, keep the images as text, append; no contract, no quarantine. Both are warm
when a round begins, write to a fresh folder, and are timed from their first read to the last commit. CPU is that of
the process and its JVM. A broker is started in a temporary folder, and stopped in the end.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import yaml
from confluent_kafka import Producer

from headrace.ingest import bus, topics
from headrace.ingest.worker import Worker
from headrace.lake import landing
from headrace.local import platform, ports
from headrace.local.install import COPY, JARS
from headrace.project import Project, load

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("payments", "warm_up")
WARM_UP = 5_000


def main() -> None:
    """Starts a broker, fills the topic, measures in turns, prints both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("headrace", "spark"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        serve(given.side, given.folder, given.rows)
        return
    jars()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        project = own_project(Path(folder))
        try:
            platform.up(project, {"bus"})
            topics.ensure(project)
            fill(project, "warm_up", WARM_UP)
            fill(project, "payments", given.rows)
            measure(project, given.rows, given.rounds)
        finally:
            platform.down(project)


def measure(project: Project, rows: int, rounds: int) -> None:
    """Each side in a process of its own, one working at a time."""
    sides = ("headrace", "spark")
    command = [sys.executable, __file__, "--folder", str(project.root), "--rows", str(rows), "--side"]
    running = {
        side: subprocess.Popen([*command, side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for side in sides
    }
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    try:
        for side in sides:
            answer(running[side])  # warm
        for _ in range(rounds):
            for side in sides:
                result = answer(running[side], "go")
                found[side].append(result)
                print(f"{side:<10} {result['rate']:>10,.0f} rows/s   {result['per_cpu']:>10,.0f} rows per CPU-second")
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    medians = {s: {m: statistics.median(r[m] for r in found[s]) for m in ("rate", "per_cpu")} for s in sides}
    for measure, unit in (("rate", "rows/s"), ("per_cpu", "rows per CPU-second")):
        ours, peer = medians["headrace"][measure], medians["spark"][measure]
        print(f"landing, median of {rounds}: {ours:,.0f} {unit}, Spark {peer:,.0f}: ratio {ours / peer:.1f}")


def answer(process: subprocess.Popen[str], order: str = "") -> dict[str, float]:
    """What a side says next, after an order."""
    if order and process.stdin:
        process.stdin.write(order + "\n")
        process.stdin.flush()
    for line in process.stdout or ():
        if line.startswith("{"):
            return orjson.loads(line)
    raise SystemExit(f"a side has died with status {process.wait()}")


def serve(side: str, folder: Path, rows: int) -> None:
    """One side: warms up, then runs a round per line of input."""
    run = headrace(folder) if side == "headrace" else spark(folder)
    next(run)
    run.send(("warm_up", WARM_UP))
    print("{}", flush=True)
    for _ in sys.stdin:
        seconds, cpu = run.send(("payments", rows))
        print(orjson.dumps({"rate": rows / seconds, "per_cpu": rows / cpu}).decode(), flush=True)


def headrace(folder: Path) -> Iterator[Any]:
    """Runs a landing worker until the table is landed; its lake is a new folder each time."""
    result = None
    for number in range(1000):
        table, rows = yield result
        settings = yaml.safe_load((folder / "headrace.yml").read_text())
        text = (folder / "lake" / "sources" / "loaded.yml").read_text()
        root = folder / f"headrace-{number}"
        (root / "lake" / "sources").mkdir(parents=True)
        (root / "headrace.yml").write_text(yaml.safe_dump(settings | {"bus": load(folder).addresses.bus}))
        shutil.copytree(folder / "schemas", root / "schemas")
        only = {**yaml.safe_load(text), "tables": {table: f"payments.{table}"}}
        (root / "lake" / "sources" / "loaded.yml").write_text(yaml.safe_dump(only))
        project = loaded(root)
        worker = Worker(project)
        thread = threading.Thread(target=worker.run)
        thread.start()
        while not worker._assigned:
            time.sleep(0.001)
        before = cpu(), time.perf_counter()
        while sum(landing.positions(project, table).values()) < rows:
            time.sleep(0.02)
        result = time.perf_counter() - before[1], cpu() - before[0]
        worker.stop()
        thread.join()


def spark(folder: Path) -> Iterator[Any]:
    """Runs a streaming query with `availableNow` into a new Delta table each time."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    own = JARS / "bench-landing"
    path = ":".join(str(jar) for place in (own, JARS / "spark") for jar in sorted(place.glob("*.jar")))
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.extraClassPath", path)
        .config("spark.driver.memory", "3g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    envelope = "op STRING, before STRING, after STRING, ts_ms BIGINT, source STRUCT<file STRING, pos BIGINT>"
    address = load(folder).addresses.bus
    result = None
    for number in range(1000):
        table, rows = yield result
        before = cpu(), time.perf_counter()
        read = session.readStream.format("kafka").option("kafka.bootstrap.servers", address)
        read = read.option("subscribe", f"loaded.payments.{table}").option("startingOffsets", "earliest").load()
        change = f.from_json(f.col("value").cast("string"), envelope).alias("c")
        place = ["topic", "partition", "offset", "timestamp"]
        out = read.select(change, f.col("key").cast("string").alias("key"), *place)
        out = out.select("c.op", "key", "c.before", "c.after", "c.source.file", "c.source.pos", "c.ts_ms", *place)
        target = folder / f"spark-{number}"
        query = (
            out.writeStream.format("delta")
            .option("checkpointLocation", f"{target}-checkpoint")
            .trigger(availableNow=True)
            .start(str(target))
        )
        query.awaitTermination()
        result = time.perf_counter() - before[1], cpu() - before[0]
        assert session.read.format("delta").load(str(target)).count() == rows


def cpu() -> float:
    """CPU seconds of this process and its children so far."""
    me = psutil.Process()
    times = [me.cpu_times(), *(child.cpu_times() for child in me.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def fill(project: Project, table: str, rows: int) -> None:
    """Writes changes to the topic as the connector does."""
    producer = Producer(bus.producer_settings(project, linger_ms=50, queue_buffering_max_messages=200_000))
    chance = random.Random(1)
    for number in range(rows):
        key, value = change(number, table, chance)
        producer.produce(f"loaded.payments.{table}", value, key, headers=[("headrace-epoch", b"1767225600")])
        if number % 1000 == 0:
            producer.poll(0.05 if len(producer) > 100_000 else 0)
    if producer.flush(120):
        raise SystemExit("the topic could not be filled")


def change(number: int, table: str, chance: random.Random) -> tuple[bytes, bytes]:
    """One change of a payment as Debezium's MariaDB connector writes it."""
    moment = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number % 1000000:06}Z"
    row = {
        "id": number, "order_id": number, "account_id": chance.randrange(5000), "method": "card",
        "amount": f"{chance.randrange(1, 200)}.{chance.randrange(100):02}", "status": "authorised",
        "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    source = {
        "version": "3.5.0.Final", "connector": "mariadb", "name": "loaded", "ts_ms": 1767225600000 + number,
        "snapshot": "false", "db": "payments", "sequence": None, "ts_us": (1767225600000 + number) * 1000,
        "ts_ns": (1767225600000 + number) * 1000000, "table": table, "server_id": 1, "gtid": f"0-1-{number}",
        "file": "bin.000001", "pos": 1000 + number * 300, "row": 0, "thread": None, "query": None,
    }  # fmt: skip
    updated = number % 3 == 0
    images = {"before": row if updated else None, "after": row | {"status": "captured"} if updated else row}
    now = 1767225600100 + number
    rest = {
        "transaction": None,
        "op": "u" if updated else "c",
        "ts_ms": now,
        "ts_us": now * 1000,
        "ts_ns": now * 1000000,
    }
    return orjson.dumps({"id": number}), orjson.dumps({**images, "source": source, **rest})


def own_project(folder: Path) -> Project:
    """A project with the topic as a captured table; the database itself is not needed."""
    contract = alone((ROOT / "schemas" / "payments.yaml").read_text())
    tables = "".join(f"  {table}: payments.{table}\n" for table in TABLES)
    files = {
        "headrace.yml": yaml.safe_dump({"name": "landing", "local": {"ports": ports.suggestion(26000)}}),
        "lake/sources/loaded.yml": "kind: mariadb\nconnection: {url: 'mariadb://nobody@127.0.0.1:1/payments'}\n"
        f"tables:\n{tables}",
        **{f"schemas/{t}.yaml": contract.replace("name: payments", f"name: {t}") for t in TABLES},
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return loaded(folder)


def alone(contract: str) -> str:
    """A contract without the checks that another table is needed for."""
    found = yaml.safe_load(contract)
    for column in found["schema"][0]["properties"]:
        column["quality"] = [q for q in column.get("quality", []) if "references" not in q.get("implementation", {})]
    return yaml.safe_dump(found, sort_keys=False)


def loaded(root: Path) -> Project:
    """The project, without a mistake in it."""
    project = load(root)
    if project.problems:
        raise SystemExit("\n".join(p.render() for p in project.problems))
    return project


def jars() -> None:
    """Fetches the peer's jars once."""
    pom, target = ROOT / "benchmarks" / "jars" / "landing.xml", JARS / "bench-landing"
    if target.exists():
        return
    part = JARS / f".bench-landing.{os.getpid()}"
    command = ["mvn", "-B", "-q", "-f", str(pom), COPY, "-DincludeScope=runtime", f"-DoutputDirectory={part}"]
    subprocess.run(command, check=True)
    part.rename(target)


if __name__ == "__main__":
    main()
