"""Removes what Airflow noted of old runs, which it never does itself: views that run on new data make gigabytes a week.

Works in Airflow's environment, in the process that reads the DAGs: it has the time for that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

RUNS, LOGS = timedelta(days=30), timedelta(days=7)  # the newest run that was not started by hand stays
FIRST, EVERY = 900.0, 24 * 3600.0  # seconds
TABLES = "asset_event,dag_run,job,log,task_instance,task_instance_history,task_reschedule,trigger,xcom"


def clean(before: datetime) -> list[str]:
    """The command that removes what Airflow noted of runs before then."""
    options = ["--clean-before-timestamp", before.isoformat(), "--tables", TABLES, "--skip-archive", "--yes"]
    return [sys.executable, "-m", "headrace.local.airflow", "db", "clean", "--error-on-cleanup-failure", *options]


def remove_logs(folder: Path, before: datetime) -> int:
    """Removes files that were last written before then, and folders that were empty since; returns how many files."""
    removed = 0
    for place, _, names in os.walk(folder, topdown=False):
        parent = Path(place)
        if parent != folder and parent.stat().st_mtime < before.timestamp():
            with suppress(OSError):  # there is something in it
                parent.rmdir()
        for name in names:
            file = parent / name
            with suppress(OSError):  # it went meanwhile
                if file.lstat().st_mtime < before.timestamp():
                    file.unlink()
                    removed += 1
    return removed


def tidy() -> None:
    """Never returns: for a thread of its own."""
    time.sleep(FIRST)  # not while everything starts
    while True:
        now = datetime.now(UTC)
        remove_logs(Path(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]), now - LOGS)
        done = subprocess.run(clean(now - RUNS), capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"old runs were not removed: {(done.stdout + done.stderr).strip()[-600:]}", flush=True)
        time.sleep(EVERY)
