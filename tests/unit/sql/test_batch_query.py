"""Batch queries without an engine: no complaint about what Spark reads, the right one about what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.sql.batch_query import examine_batch

TABLES = {
    "orders": ("id", "customer_id", "restaurant_id", "status", "total", "placed_at", "updated_at"),
    "customers": ("id", "name", "city", "created_at", "updated_at"),
    "restaurants": ("id", "name", "city"),
    "view_in_python": None,
}

# Spark 4 reads each of these; a complaint about one would be false.
VALID = Path(__file__).with_name("valid_spark.sql").read_text(encoding="utf-8").strip().split("\n")


@pytest.mark.parametrize("sql", VALID)
def test_no_complaint_about_what_spark_reads(sql: str):
    assert examine_batch(sql, TABLES).mistakes == ()


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT id, total AS t FROM orders", ("id", "t")),
        ("SELECT * FROM restaurants", ("id", "name", "city")),
        ("SELECT r.*, o.total FROM orders o JOIN restaurants r ON true", ("id", "name", "city", "total")),
        ("SELECT * EXCEPT (name) FROM restaurants", ("id", "city")),
        ("SELECT id FROM orders UNION ALL SELECT name FROM customers", ("id",)),
        ("WITH a(x) AS (SELECT id FROM orders) SELECT * FROM a", ("x",)),
        ("SELECT COUNT(*) FROM orders", None),
        ("SELECT * FROM view_in_python", None),
        ("SELECT * FROM orders PIVOT (SUM(total) FOR status IN ('a'))", None),
        ("VALUES (1)", None),
    ],
)
def test_columns_that_a_query_gives(sql: str, columns: tuple[str, ...] | None):
    assert examine_batch(sql, TABLES).outputs == columns


@pytest.mark.parametrize(
    ("sql", "place", "message", "hint"),
    [
        ("SELECT idd FROM orders", (1, 8), "no such column 'idd'", "did you mean 'id'?"),
        ("SELECT o.idd FROM orders o", (1, 10), "'o' has no column 'idd'", "did you mean 'id'?"),
        ("SELECT x.id FROM orders o", (1, 8), "no table in this query is called 'x'", "there is: o"),
        ("SELECT\n  SUM(totl)\nFROM orders", (2, 7), "no such column 'totl'", "did you mean 'total'?"),
        (
            "SELECT id FROM orders GROUP BY custmer_id",
            (1, 32),
            "no such column 'custmer_id'",
            "did you mean 'customer_id'?",
        ),
        ("SELECT id FROM (SELECT id AS x FROM orders)", (1, 8), "no such column 'id'", "there is: x"),
        (
            "SELECT transform(array(1), x -> x + totl) FROM orders",
            (1, 37),
            "no such column 'totl'",
            "did you mean 'total'?",
        ),
        (
            "SELECT system.`Reflect`('java.lang.Runtime', 'x') FROM orders",
            (1, 15),
            "reflect() calls Java inside Spark, which a query may not",
            "what SQL can't say, a Python job can",
        ),
        ("SELECT id,, total FROM orders", (1, 10), "nothing follows this comma", "delete it, or add what is missing"),
        ("SELECT id, FROM orders", (1, 10), "nothing follows this comma", "delete it, or add what is missing"),
        ("SELECT f(id FROM orders", (1, 9), "this parenthesis is never closed", "close it with )"),
        (
            "SELECT id frm orders",
            (1, 15),
            "Spark can't read this query near 'orders'",
            "a comma, a keyword or a parenthesis before it?",
        ),
        (
            "SELECT id FROM orders WHERE",
            (1, 23),
            "Spark can't read this query near 'WHERE' (something is missing)",
            "a comma, a keyword or a parenthesis before it?",
        ),
    ],
)
def test_mistakes(sql: str, place: tuple[int, int], message: str, hint: str):
    (mistake,) = examine_batch(sql, TABLES).mistakes
    assert ((mistake.line, mistake.column), mistake.message, mistake.hint) == (place, message, hint)


@given(
    st.lists(st.sampled_from([*" ".join(VALID).split(), "(", ")", ",", "\n"]), max_size=30).map(" ".join) | st.text()
)
def test_never_raises_and_points_into_the_text(sql: str):
    for mistake in examine_batch(sql, TABLES).mistakes:
        assert 1 <= mistake.line <= sql.count("\n") + 1
        assert mistake.message
