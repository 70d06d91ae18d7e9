"""What `headrace check` says about batch queries is what Spark says: no false alarm, and the same columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.batch.session import session
from headrace.sql.batch_query import examine_batch

VALID = Path(__file__).parents[2] / "unit" / "sql" / "valid_spark.sql"
TYPES = {"total": "DECIMAL(10,2)", "status": "STRING", "name": "STRING", "city": "STRING"}
TABLES = {
    "orders": ("id", "customer_id", "restaurant_id", "status", "total", "placed_at", "updated_at"),
    "customers": ("id", "name", "city", "created_at", "updated_at"),
    "restaurants": ("id", "name", "city"),
    "view_in_python": ("anything", "other"),
}
WRONG = [
    "SELECT idd FROM orders",
    "SELECT o.idd FROM orders o",
    "SELECT x.id FROM orders o",
    "SELECT id FROM orders GROUP BY id, custmer_id",
    "SELECT id FROM (SELECT id AS x FROM orders)",
    "SELECT transform(array(1), x -> x + totl) FROM orders",
    "SELECT id,, total FROM orders",
    "SELECT id, FROM orders",
    "SELECT f(id FROM orders",
    "SELECT id frm orders",
    "SELECT id FROM orders WHERE id = ",
    "SELECT id FROM orders; SELECT id FROM customers",
]


@pytest.fixture(scope="module")
def spark(shared):
    made = session(shared("spark"))
    define(made)
    return made


def define(spark) -> None:
    """Temporary views with the columns of TABLES."""
    for table, columns in TABLES.items():
        shown = ", ".join(
            f"CAST(NULL AS {TYPES.get(c, 'TIMESTAMP' if c.endswith('_at') else 'BIGINT')}) {c}" for c in columns
        )
        spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {table} AS SELECT {shown}")


def disagreement(spark, sql: str) -> str:
    """How what is known without Spark differs from what Spark says; '' when it does not."""
    known = examine_batch(sql, {**TABLES, "view_in_python": None})
    try:
        columns = sorted(c.lower() for c in spark.sql(sql).columns)
    except Exception as error:
        return "" if known.mistakes else f"only Spark refuses it: {str(error)[:200]}"
    if known.mistakes:
        return f"a false alarm: {known.mistakes[0].message}"
    ours = known.outputs
    return "" if ours is None or sorted(c.lower() for c in ours) == columns else f"{ours} instead of {columns}"


def test_what_spark_reads(spark):
    found = {
        sql: said for sql in VALID.read_text(encoding="utf-8").split("\n") if sql and (said := disagreement(spark, sql))
    }
    assert found == {}


@pytest.mark.parametrize("sql", WRONG)
def test_what_spark_refuses(spark, sql: str):
    assert disagreement(spark, sql) == ""
