"""One look at everything that could grow."""

from __future__ import annotations

from pathlib import Path

import psutil

from headrace.ingest import lag
from headrace.serve.database import connect
from headrace.stream.flink_rest import Flink
from tests.e2e.company import Company

# What must stay bounded, and up to which value nobody minds.
BOUNDED = {
    "memory MB": 0.0,
    "files": 0.0,
    "threads": 0.0,
    "kept by databases MB": 64.0,
    "behind": 2_000.0,
    "logs MB": 128.0,
}
# What is forgotten by age, and grows evenly until then: ids of events and groups at Flink after an hour, partials of
# live views at the second run after them, and a run is due every ten minutes.
FORGOTTEN = (STATE := "flink state MB", "flink folder MB", "speed rows", "speed MB")


def look(company: Company) -> dict[str, float]:
    """name → value: totals over all servers, stores and jobs."""
    project = company.project
    status = company.status()
    found = {"memory MB": float(sum(row["memory"] or 0 for row in status["servers"]))}
    family = [p for row in status["servers"] if row["pid"] for p in _family(row["pid"])]
    found["files"] = float(sum(_asked(p.num_fds) for p in family))
    found["threads"] = float(sum(_asked(p.num_threads) for p in family))
    kept = [lag.measure(project, source).held for source in project.sources if source.mode == "cdc"]
    found["kept by databases MB"] = sum(k or 0 for k in kept) / 1e6
    flink, state = Flink(project.addresses.flink_rest), 0.0
    jobs = [job for job in flink.jobs() if job["state"] == "RUNNING"]
    for job in jobs:
        latest = flink.checkpoints(job["jid"])["latest"]["completed"]
        state += latest["state_size"] if latest else 0
    found |= {"flink jobs": float(len(jobs)), STATE: state / 1e6}
    with connect(project) as serving:
        query = """SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0), COALESCE(SUM(s.n_live_tup), 0)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
          WHERE n.nspname = 'speed' AND c.relkind = 'r'"""
        size, rows = serving.execute(query).fetchone() or (0, 0)
    found |= {"speed rows": float(rows), "speed MB": float(size) / 1e6}
    found["behind"] = float(sum(row["behind"] or 0 for row in status["flow"] if row["stage"] == "landing"))
    found["flink folder MB"] = _size(project.state / "flink")
    found["logs MB"] = _size(project.state / "logs")
    found["topics MB"] = _size(project.state / "data" / "bus")
    found["lake MB"] = _size(Path(project.addresses.lake))
    found["lake files"] = float(sum(1 for _ in Path(project.addresses.lake).rglob("*.parquet")))
    return found


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _asked(question) -> int:
    try:
        return question()
    except psutil.Error:
        return 0


def _size(folder: Path) -> float:
    """Megabytes on disk below the folder; files may vanish meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_blocks * 512 if file.is_file() else 0
        except OSError:
            continue
    return total / 1e6
