"""What `headrace status` says of a live view."""

from __future__ import annotations

from datetime import UTC, datetime

from headrace.live.standing import told

AT = datetime(2026, 1, 31, 12, 30, 10, tzinfo=UTC)


def test_told():
    assert told(AT, "equal") == "batch layer to 12:30:10 UTC, layers equal"
    assert told(AT, "different") == "batch layer to 12:30:10 UTC, layers different"
    assert told(AT, None) == "batch layer to 12:30:10 UTC, layers not compared yet"
