"""What `headrace status` says of a live view."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headrace.live.standing import told

AT = datetime(2026, 1, 31, 12, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("job", "state", "said"),
    [
        ("RUNNING", "equal", "batch layer to 12:30:10 UTC, speed job runs, layers equal"),
        ("RESTARTING", "different", "batch layer to 12:30:10 UTC, speed job is restarting, layers different"),
        ("", None, "batch layer to 12:30:10 UTC, speed job is not there, layers not compared yet"),
        (None, "unproven", "batch layer to 12:30:10 UTC, speed job is unknown: Flink does not answer, layers unproven"),
    ],
)
def test_told(job: str | None, state: str | None, said: str):
    assert told(AT, job, state) == said
