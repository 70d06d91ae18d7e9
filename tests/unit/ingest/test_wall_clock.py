"""A clock that was set back is noticed; one that was set forward, or is kept right in small steps, is no trouble."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from headrace.ingest import wall_clock
from headrace.ingest.wall_clock import WallClock


def test_only_a_step_back_counts_and_only_once(monkeypatch):
    now = [time.time()]
    monkeypatch.setattr(wall_clock.time, "time", lambda: now[0] + time.monotonic())
    clock = WallClock()
    for step, said in ((0.0, 0.0), (3600.0, 0.0), (-1.0, 0.0), (-3600.0, 3600.0), (0.0, 0.0)):
        now[0] += step
        assert round(clock.set_back()) == said


def test_a_process_leaves_to_be_started_again():
    program = """import time
from headrace.ingest.wall_clock import WallClock
clock = WallClock()
clock.leave_if_set_back()
real = time.time
time.time = lambda: real() - 3600
clock.leave_if_set_back()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, env=dict(os.environ), check=False
    )
    assert done.returncode == wall_clock.AGAIN
    assert done.stdout == "the clock was set back by 3600 s: starting anew\n"
