"""Stream queries without an engine: silent unless sure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.sql.stream_query import absent, examine_stream, names

TABLES = {
    "payments_changes": (
        "id",
        "order_id",
        "account_id",
        "amount",
        "method",
        "status",
        "op",
        "event_time",
        "appended_at",
    ),
    "orders_changes": ("id", "customer_id", "status", "total", "op", "event_time", "appended_at"),
    "unknown_changes": None,
}

# Flink reads each of these; a complaint about one would be false.
VALID = Path(__file__).with_name("valid_flink.sql").read_text(encoding="utf-8").strip().split("\n")


@pytest.mark.parametrize("sql", VALID)
def test_no_complaint_about_what_flink_reads(sql: str):
    assert examine_stream(sql, TABLES) == ()


@pytest.mark.parametrize(
    ("sql", "place", "message", "hint"),
    [
        ("SELECT p.amont FROM payments_changes AS p", (1, 10), "'p' has no column 'amont'", "did you mean 'amount'?"),
        (
            "SELECT payments_changes.x FROM payments_changes",
            (1, 25),
            "'payments_changes' has no column 'x'",
            "there is: account_id, amount, appended_at, event_time, id, method, op, order_id, status",
        ),
        ("SELECT acount_id\nFROM payments_changes", (1, 8), "no such column 'acount_id'", "did you mean 'account_id'?"),
        ("SELECT id FROM payments_changes WHERE (a", (1, 39), "this parenthesis is never closed", "close it with )"),
        (
            "SELECT id FROM payments_changes)",
            (1, 32),
            "this parenthesis closes nothing",
            "delete it, or open one before",
        ),
        (
            "SELECT id FROM a; SELECT 1",
            (1, 19),
            "a second statement begins here",
            "one file is one view: put the second query into a file of its own",
        ),
        ("-- nothing", (1, 1), "there is no query in this file", "SELECT … FROM a table of the project"),
        ("SELECT 'x", (1, 8), "the text is opened here and never closed", "close it with '"),
    ],
)
def test_mistakes(sql: str, place: tuple[int, int], message: str, hint: str):
    (mistake,) = examine_stream(sql, TABLES)
    assert ((mistake.line, mistake.column), mistake.message, mistake.hint) == (place, message, hint)


def test_absent_columns():
    assert absent("SELECT id, amount AS a FROM payments_changes", ["id", "a", "b"]) == ["b"]
    assert absent("SELECT * FROM payments_changes", ["b"]) == []
    assert absent("SELECT p.*, 1 AS x FROM payments_changes p", ["b"]) == []
    assert absent("SELECT 2 * amount AS x FROM payments_changes", ["b"]) == ["b"]
    assert absent("SELECT 'x", ["b"]) == []


def test_names_leave_keywords_out():
    assert names("SELECT a, `b` FROM c WHERE a = 'd'") == ["a", "b", "c"]


@given(st.lists(st.sampled_from([*" ".join(VALID).split(), "(", ")", ",", "."]), max_size=40).map(" ".join) | st.text())
def test_never_raises(sql: str):
    for mistake in examine_stream(sql, TABLES):
        assert 1 <= mistake.line <= sql.count("\n") + 1
