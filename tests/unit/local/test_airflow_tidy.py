"""Logs of Airflow's tasks do not stay for ever."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from headrace.local.airflow_tidy import LOGS, remove_logs


def test_old_logs_go_with_their_folders_and_young_ones_stay(tmp_path):
    now = datetime.now(UTC)
    for path, age in (("a/run1/task/1.log", 8), ("a/run2/task/1.log", 1), ("a/run2/task/2.log", 9), ("b/x.log", 30)):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("said")
        then = (now - timedelta(days=age)).timestamp()
        os.utime(file, (then, then))
    assert remove_logs(tmp_path, now - LOGS) == 3
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == ["a/run2/task/1.log"]
    for folder in ("a/run1/task", "b"):
        os.utime(tmp_path / folder, (1, 1))
    assert remove_logs(tmp_path, now - LOGS) == 0
    assert not (tmp_path / "a/run1/task").exists()
    assert not (tmp_path / "b").exists()
    assert remove_logs(tmp_path / "none", now) == 0
