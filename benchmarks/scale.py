"""One and two landing workers, one and two TaskManagers: how much more passes, and what a terabyte a day would take.

    .venv/bin/python benchmarks/scale.py [--rows 400000] [--rounds 3]

A topic of two partitions holds changes as Debezium writes them. Workers land it into a fresh lake; a stream job of
parallelism one, then two, reads it, checks it and counts per account. Each is timed between the first position that it
tells and the last, so that no start counts, and the two sizes take turns. CPU is that of the workers and of the
TaskManagers. With two cores for the broker and everything else, two workers can't be twice as fast: what they need per
row is what the sum on paper is made from. Its prices are Amazon's on demand in us-east-1 as of June 2026: an m7g.large
(two cores, 8 GiB) for 0.0816 dollars an hour, S3 Standard for 0.023 a GB and month, gp3 disks for 0.08.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import landing as one
import psutil
import yaml

from headrace.ingest import topics
from headrace.lake import landing
from headrace.local import platform, supervise
from headrace.project import Project
from headrace.serve import schema
from headrace.stream import ensure as stream
from headrace.stream import offsets

Measured = tuple[dict[int, float], dict[int, float]]  # size → rows/s, size → CPU-seconds per million rows
QUERY = "SELECT account_id, COUNT(*) AS payments FROM payments_changes GROUP BY account_id HAVING COUNT(*) > 1000000\n"
SIZES = (1, 2)
NUMBERS = count(1)
LAKE_BYTES: list[int] = []  # of each lake that was filled
TERABYTE, DAY = 1e12, 86_400
BUSY = 0.6  # of what one does at most: the rest is for bursts and for catching up
CORE_DAY, LAKE_MONTH, DISK_MONTH = 0.0816 / 2 * 24, 0.023, 0.08  # dollars: a core, a GB, a GB
REPLICAS, KEPT_DAYS = 3, 7  # of the topics


def main() -> None:
    """Fills the topic, measures both in turns, prints rates, ratios and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        project = made(Path(folder))
        try:
            platform.up(project, {"bus", "flink", "postgres"})
            topics.ensure(project)
            schema.ensure(project)
            one.fill(project, "payments", given.rows)
            size = statistics.mean(sum(map(len, one.change(n, "payments", one.random.Random(1)))) for n in range(1000))
            landed_ = taken_in_turns(lambda n: landed(project, n, given.rows), given.rounds)
            report("landing workers", *landed_)
            streamed_ = taken_in_turns(lambda n: streamed(project, n, given.rows), given.rounds)
            report("TaskManagers", *streamed_)
            on_paper(size, landed_, streamed_, LAKE_BYTES[-1] / given.rows, on_the_bus(project) / given.rows)
        finally:
            platform.down(project)


def made(folder: Path) -> Project:
    """The project of the landing benchmark, with two TaskManagers and a job."""
    one.own_project(folder)
    settings = yaml.safe_load((folder / "headrace.yml").read_text())
    settings["local"]["task_managers"] = max(SIZES)
    (folder / "headrace.yml").write_text(yaml.safe_dump(settings))
    return one.loaded(folder)


def with_job(folder: Path, name: str, parallelism: int) -> Project:
    """The project with a job that nobody knows yet, so it begins at the beginning of the topic."""
    jobs = folder / "jobs" / "stream"
    shutil.rmtree(jobs, ignore_errors=True)
    jobs.mkdir(parents=True)
    (jobs / f"{name}.sql").write_text(f"-- key: account_id\n-- parallelism: {parallelism}\n{QUERY}")
    return one.loaded(folder)


def taken_in_turns(measure: Callable[[int], tuple[float, float]], rounds: int) -> Measured:
    """Size → median rows per second, and median CPU seconds per million rows. A first round warms up."""
    found: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    for number in range(rounds + 1):
        for size in SIZES if number % 2 else reversed(SIZES):
            result = measure(size)
            if number:
                found[size].append(result)
    return tuple({size: statistics.median(r[i] for r in found[size]) for size in SIZES} for i in (0, 1))  # type: ignore[return-value]


def landed(project: Project, workers: int, rows: int) -> tuple[float, float]:
    """Rows per second and CPU seconds per million rows of so many landing workers, into a fresh lake."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        settings = yaml.safe_load((project.root / "headrace.yml").read_text())
        (root / "headrace.yml").write_text(yaml.safe_dump(settings | {"bus": project.addresses.bus}))
        for name in ("schemas", "lake/sources"):
            shutil.copytree(project.root / name, root / name)
        fresh = one.loaded(root)
        command = [str(Path(sys.executable).with_name("headrace")), "-C", folder, "work", "landing"]
        running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(workers)]
        try:
            pids = [process.pid for process in running]
            found = followed(lambda: sum(landing.positions(fresh, "payments").values()), rows, pids)
            LAKE_BYTES.append(stored(root / "lake" / "data"))
            return found
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def streamed(project: Project, number: int, rows: int) -> tuple[float, float]:
    """The same of a stream job of that parallelism; its slots are spread over the TaskManagers."""
    name = f"counted_{next(NUMBERS)}"
    project = with_job(project.root, name, number)
    pids = [row["pid"] for name, row in supervise.states(project).items() if name.startswith("flink-taskmanager")]
    stream.ensure(project, name)
    job = project.job(name)
    try:
        return followed(lambda: sum(offsets.committed(project, job).values()), rows, pids)
    finally:
        stream.stop(project, name)


def followed(position: Callable[[], int], rows: int, pids: list[int]) -> tuple[float, float]:
    """Asks until all rows are there; rows per second and the processes' CPU seconds per million rows, both between the
    first answer that was not 0 and the last."""
    processes = [psutil.Process(pid) for pid in pids]
    first: tuple[float, int, float] | None = None
    while (at := position()) < rows:
        if at and not first:
            first = time.perf_counter(), at, cpu(processes)
        time.sleep(0.02)
    if not first:
        raise SystemExit("all rows came at once: take more of them")
    seconds, many = time.perf_counter() - first[0], rows - first[1]
    return many / seconds, (cpu(processes) - first[2]) / many * 1e6


def cpu(processes: list[psutil.Process]) -> float:
    """CPU seconds so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def stored(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def on_the_bus(project: Project) -> int:
    """Bytes of the topic's records, as they are compressed."""
    topic = project.table("payments").topic
    return sum(file.stat().st_size for file in (project.state / "data" / "bus").glob(f"{topic}-*/*.log"))


def report(what: str, rates: dict[int, float], cpus: dict[int, float]) -> None:
    """Both sizes and their ratio."""
    for number in SIZES:
        print(f"{what}: {number}   {rates[number]:>10,.0f} rows/s   {cpus[number]:>6.1f} CPU-seconds per million rows")
    print(
        f"{what}: two pass {rates[2] / rates[1]:.2f} × what one does, for {cpus[2] / cpus[1]:.2f} × the CPU per row\n"
    )


def on_paper(size: float, landed_: Measured, streamed_: Measured, lake: float, bus: float) -> None:
    """What a terabyte a day takes: what to set, cores, storage, dollars. `lake` and `bus` are bytes per change."""
    per_second, changes = TERABYTE / size / DAY, TERABYTE / size
    workers, tasks = (math.ceil(per_second / (rates[1] * BUSY)) for rates, _ in (landed_, streamed_))
    land, alert = (per_second * cpus[1] / 1e6 / BUSY for _, cpus in (landed_, streamed_))
    lake_gb, bus_gb = changes * lake / 1e9, changes * bus / 1e9
    disk = bus_gb * REPLICAS * KEPT_DAYS
    month, day = lake_gb * LAKE_MONTH, disk * DISK_MONTH / 30
    print(f"1 TB a day of changes of {size:,.0f} bytes is {per_second:,.0f} a second; with everything {BUSY:.0%} busy:")
    print(f"  landing_workers: {workers}, parallelism: {tasks} of each stream job, partitions: not fewer than these")
    print(f"  landing: {land:.1f} cores, {land * CORE_DAY:.2f} dollars a day")
    print(f"  each stream job that reads all of it: {alert:.1f} cores, {alert * CORE_DAY:.2f} dollars a day")
    print(f"  the lake: {lake_gb:,.0f} GB a day, {month:.2f} dollars for each month that they are kept")
    print(f"  the bus: {disk:,.0f} GB for {KEPT_DAYS} days in {REPLICAS} copies, {day:.2f} dollars a day")
    print("  not in it: capture, the brokers' own cores, Spark")


if __name__ == "__main__":
    main()
