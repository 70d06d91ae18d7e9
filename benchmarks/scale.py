"""One and two landing workers, one and two TaskManagers: how much more passes, and what a terabyte a day would take.

    .venv/bin/python benchmarks/scale.py [--rows 400000] [--rounds 3]

A topic of two partitions holds changes as Debezium writes them. Workers land it into a fresh lake; a stream job of
parallelism one, then two, reads it, checks it and counts per account. Each is timed between the first position that it
tells and the last, so that no start counts, and the two sizes take turns. CPU is that of the workers and of the
TaskManagers. With two cores for the broker and everything else, two workers can't be twice as fast: what they need per
row is what the sum on paper is made from.
"""

from __future__ import annotations

import argparse
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

QUERY = "SELECT account_id, COUNT(*) AS payments FROM payments_changes GROUP BY account_id HAVING COUNT(*) > 1000000\n"
SIZES = (1, 2)
NUMBERS = count(1)
TERABYTE, DAY = 1e12, 86_400


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
            report("landing workers", *taken_in_turns(lambda n: landed(project, n, given.rows), given.rounds), size)
            report("TaskManagers", *taken_in_turns(lambda n: streamed(project, n, given.rows), given.rounds), size)
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


def taken_in_turns(
    measure: Callable[[int], tuple[float, float]], rounds: int
) -> tuple[dict[int, float], dict[int, float]]:
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
            return followed(lambda: sum(landing.positions(fresh, "payments").values()), rows, pids)
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


def report(what: str, rates: dict[int, float], cpus: dict[int, float], size: float) -> None:
    """Both sizes, their ratio, and the cores that a terabyte a day of such changes would take."""
    for number in SIZES:
        print(f"{what}: {number}   {rates[number]:>10,.0f} rows/s   {cpus[number]:>6.1f} CPU-seconds per million rows")
    print(f"{what}: two pass {rates[2] / rates[1]:.2f} × what one does, for {cpus[2] / cpus[1]:.2f} × the CPU per row")
    per_second = TERABYTE / size / DAY
    cores = per_second * cpus[1] / 1e6
    print(f"1 TB a day of changes of {size:,.0f} bytes is {per_second:,.0f} a second: {cores:.1f} cores for it\n")


if __name__ == "__main__":
    main()
