"""Columns in the three engines' types, and durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.project.contract import Column, seconds


@pytest.mark.parametrize(
    ("column", "types"),
    [
        (Column("a", "integer"), ("BIGINT", "BIGINT", "bigint")),
        (Column("a", "number"), ("DOUBLE", "DOUBLE", "double precision")),
        (Column("a", "number", precision=10, scale=2), ("DECIMAL(10,2)", "DECIMAL(10,2)", "numeric(10,2)")),
        (Column("a", "timestamp"), ("TIMESTAMP", "TIMESTAMP_LTZ(6)", "timestamptz")),
        (Column("a", "object"), ("STRING", "STRING", "jsonb")),
    ],
)
def test_types(column: Column, types: tuple[str, str, str]):
    assert (column.spark, column.flink, column.postgres) == types


@pytest.mark.parametrize(
    ("text", "expected"), [("5s", 5), ("250ms", 0.25), ("2 m", 120), ("1h", 3600), (" 3d ", 259200), ("0s", 0)]
)
def test_seconds(text: str, expected: float):
    assert seconds(text) == expected


@given(st.text())
def test_seconds_never_raises(text: str):
    value = seconds(text)
    assert value is None or value >= 0
