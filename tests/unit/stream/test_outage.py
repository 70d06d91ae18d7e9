"""When a speed job's state is too old: Flink's answers, as it gives them, and what was noted before."""

from __future__ import annotations

import pytest

from headrace.stream.outage import outage

RUNS = {"state": "RUNNING", "vertices": [{"status": "RUNNING"}]}
RESTARTS = {"state": "RUNNING", "vertices": [{"status": "RUNNING"}, {"status": "SCHEDULED"}]}


RESTORED = {"id": 8, "restore_timestamp": 990_000}


def checkpoint(number: int, at: float, status: str = "COMPLETED") -> dict:
    return {"id": number, "status": status, "latest_ack_timestamp": at * 1000}


@pytest.mark.parametrize(
    ("job", "checkpoints", "seconds"),
    [
        (RUNS, {}, 0),
        (RESTARTS, {"latest": {"completed": None}, "history": []}, 0),  # it begins at the cut by itself
        (RUNS, {"latest": {"completed": checkpoint(1, 100)}}, 0),  # slow, not down
        (RESTARTS, {"latest": {"completed": checkpoint(1, 100)}}, 900),
        (RESTARTS, {"latest": {"completed": checkpoint(1, 100)}, "history": [checkpoint(2, 990, "FAILED")]}, 900),
        (
            RUNS,
            {
                "latest": {"completed": checkpoint(9, 999), "restored": {"id": 8, "restore_timestamp": 990_000}},
                "history": [checkpoint(9, 999), checkpoint(8, 300)],
            },
            690,
        ),
        (RUNS, {"latest": {"completed": checkpoint(9, 999), "restored": {"id": 8, "restore_timestamp": 990_000}}}, 0),
    ],
)
def test_how_long_state_lay_unused(job, checkpoints, seconds):
    assert outage(job, checkpoints, 0.0, 1000.0) == seconds


@pytest.mark.parametrize(
    ("job", "checkpoints", "seconds"),
    [
        (RUNS, {"latest": {"completed": checkpoint(9, 999), "restored": RESTORED}}, 690),  # Flink has forgotten the 8th
        (
            RUNS,
            {"latest": {"completed": checkpoint(9, 999), "restored": RESTORED}, "history": [checkpoint(8, 980)]},
            10,
        ),
        (RESTARTS, {}, 700),  # its JobManager is new, too
        (RUNS, {"latest": {"completed": checkpoint(9, 999)}}, 0),
        (RUNS, {"latest": {"restored": RESTORED | {"restore_timestamp": 200_000}}}, 0),  # seen in order since
    ],
)
def test_what_was_noted_reaches_further_back_than_flink(job, checkpoints, seconds):
    assert outage(job, checkpoints, 300.0, 1000.0) == seconds
