"""The allow-list: every operation is among the samples and has a text in each dialect; results have room."""

from __future__ import annotations

import duckdb
import pytest
import sqlglot

from headrace.sql.live import flink, postgres, spark
from headrace.sql.live.parse import compile_live
from headrace.sql.live.text import SIGNS
from headrace.sql.live.types import Type, added, averaged, common, multiplied, number, summed
from tests.unit.sql.live import reference
from tests.unit.sql.live.samples import EXPRESSIONS, QUERY, ROWS, SAMPLES, typed

FOUND = compile_live("samples_view", QUERY, {"samples": SAMPLES})
assert FOUND.view is not None, FOUND.mistakes
VIEW = FOUND.view
OPERATIONS = set(reference.OPERATIONS)


def test_every_operation_is_among_the_samples():
    assert {n.op for k in VIEW.keys for n in k.node.walk()} >= OPERATIONS - {"div"}  # only between sums


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_each_dialect_has_a_text(operation: str):
    for dialect in (spark.Spark, flink.Flink, postgres.Postgres):
        assert operation in SIGNS or hasattr(dialect, f"_{operation}"), (dialect, operation)


@pytest.mark.parametrize("dialect", ["spark", "postgres"])
def test_texts_are_read_by_duckdb(dialect: str):
    """A first look without an engine: the texts, put into DuckDB's words, can be read and give a value of each row."""
    writer = {"spark": spark.Spark, "postgres": postgres.Postgres}[dialect](lambda n: f"s.{n.value}")
    types = {c.name: c.postgres.replace("numeric", "DECIMAL") for c in SAMPLES.columns}
    columns = ", ".join(f"CAST(NULL AS {t}) AS {n}" for n, t in types.items())
    unread = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for key, expression in zip(VIEW.keys, dict.fromkeys(EXPRESSIONS), strict=False):
            text = sqlglot.transpile(writer.text(key.node), read=dialect, write="duckdb")[0]
            try:
                connection.execute(f"SELECT {text} FROM (SELECT {columns}) AS s").fetchall()
            except duckdb.Error as error:
                unread.append(f"{expression}: {text}: {error}")
    assert unread == []


def test_the_reference_gives_a_value_of_the_type():
    kinds = {"integer": int, "text": str, "boolean": bool}
    for row in map(typed, ROWS):
        for key in VIEW.keys:
            value = reference.evaluate(key.node, reference.column(row))
            assert value is None or isinstance(value, kinds.get(key.node.type.kind, object)), key


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (added(Type("integer", 19), Type("integer", 19)), Type("decimal", 20)),
        (added(Type("integer", 5), Type("integer", 3)), Type("integer", 6)),
        (added(Type("decimal", 10, 2), Type("decimal", 12, 4)), Type("decimal", 13, 4)),
        (added(Type("decimal", 38, 2), Type("decimal", 38, 2)), None),
        (multiplied(Type("decimal", 10, 2), Type("integer", 19)), Type("decimal", 29, 2)),
        (multiplied(Type("integer", 19), Type("integer", 19)), Type("decimal", 38)),
        (multiplied(Type("decimal", 20, 2), Type("decimal", 18, 2)), None),  # Spark would round it
        (common(Type("decimal", 38, 0), Type("decimal", 10, 2)), None),
        (common(Type("integer", 19), Type("decimal", 10, 2)), Type("decimal", 21, 2)),
        (summed(Type("integer", 1)), Type("integer", 11)),
        (summed(Type("integer", 19)), Type("decimal", 29)),
        (summed(Type("decimal", 28, 2)), Type("decimal", 38, 2)),
        (summed(Type("decimal", 29, 2)), None),
        (averaged(Type("decimal", 10, 2)), Type("decimal", 14, 6)),
        (number(18), Type("integer", 18)),
    ],
)
def test_results_have_room(type_: Type | None, expected: Type | None):
    assert type_ == expected
