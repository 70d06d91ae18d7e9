"""Every operation that a live view may use, over odd values: Spark, Flink and PostgreSQL say what SQL means by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg

from headrace.batch import shape
from headrace.batch.session import session
from headrace.project import Project
from headrace.sql.flink import literal, name, typed_value
from headrace.sql.live import flink, spark
from headrace.sql.live.parse import compile_live
from headrace.sql.live.postgres import Postgres
from headrace.sql.live.tables import quoted
from headrace.stream.gateway import Gateway
from tests.unit.sql.live import reference
from tests.unit.sql.live.samples import COLUMNS, QUERY, ROWS, SAMPLES, typed

FOUND = compile_live("samples_view", QUERY, {"samples": SAMPLES})
assert FOUND.view is not None
KEYS = FOUND.view.keys
READ = [  # what PostgreSQL may compute
    k
    for k in KEYS
    if not any(n.op in {"upper", "lower"} or (n.op == "column" and n.type.kind == "double") for n in k.node.walk())
]


def value(kind: str, text: Any) -> Any:
    """A value that an engine cast to text."""
    if text is None:
        return None
    readers: dict[str, Callable[[Any], Any]] = {
        "boolean": lambda t: str(t).lower() in {"true", "t"},
        "integer": Decimal,
        "decimal": Decimal,
        "date": date.fromisoformat,
        "timestamp": lambda t: datetime.fromisoformat(t.removesuffix("+00")).replace(tzinfo=UTC),
    }
    return readers.get(kind, str)(text)


def differences(rows: Iterable[list[Any]], keys: Any) -> list[str]:
    """Where rows (id, then the text of each key) are not what SQL says."""
    found = []
    rows = list(rows)
    assert len(rows) == len(ROWS)
    for id_, *texts in rows:
        row = typed(ROWS[int(id_)])
        for key, text in zip(keys, texts, strict=True):
            expected = reference.evaluate(key.node, reference.column(row))
            if value(key.node.type.kind, text) != expected:
                found.append(f"row {id_}, {key.node.op} {key.node.value}: {text} instead of {expected}")
    return found


def test_spark(shared: Callable[..., Project]):
    one = session(shared("spark"))
    one.createDataFrame([(json.dumps(r),) for r in ROWS], "a STRING").createOrReplaceTempView("live_samples")
    columns = ", ".join(f"{shape.typed(c, 'a.' + shape.name(c.name))} AS {shape.name(c.name)}" for c in COLUMNS)
    inner = f"SELECT {columns} FROM (SELECT from_json(a, {shape._schema(COLUMNS)}) AS a FROM live_samples)"
    dialect = spark.Spark(lambda n: spark.name(n.value))
    shown = ", ".join(f"CAST({spark.key(k.node, dialect)} AS STRING) AS {k.name}" for k in KEYS)
    assert differences(map(list, one.sql(f"SELECT id, {shown} FROM ({inner})").collect()), KEYS) == []


def test_flink(shared: Callable[..., Project]):
    project = shared("flink")
    columns = ", ".join(f"{typed_value(c, name(c.name))} AS {name(c.name)}" for c in COLUMNS)
    dialect = flink.Flink(lambda n: name(n.value))
    shown = ", ".join(f"CAST({flink.key(k.node, dialect)} AS STRING) AS {k.name}" for k in KEYS)
    options = {"table.local-time-zone": "UTC", "parallelism.default": "1"}
    with Gateway(project.addresses.flink_gateway, options) as gateway:
        raw = ", ".join(f"({', '.join(map(_in_flink, r.values()))})" for r in ROWS)
        raw = f"SELECT {columns} FROM (VALUES {raw}) AS r ({', '.join(name(c.name) for c in COLUMNS)})"
        result = gateway.run(f"SELECT CAST(id AS STRING), {shown} FROM ({raw})")
    assert differences(result.rows, KEYS) == []


def test_postgresql(shared: Callable[..., Project]):
    project = shared("postgres")
    dialect = Postgres(lambda n: f"s.{quoted(n.value)}")
    types = ", ".join(f"{quoted(c.name)} {c.postgres}" for c in COLUMNS)
    shown = ", ".join(f"CAST({dialect.text(k.node)} AS text)" for k in READ)
    with psycopg.connect(project.addresses.serving()) as connection:
        # As the engines have read them: PostgreSQL itself would round a time of nine digits.
        given = dialect.string(json.dumps([r | {"at": r["at"] and r["at"].rstrip("Z")[:26] + "Z"} for r in ROWS]))
        query = f"SELECT s.id, {shown} FROM json_to_recordset({given}) AS s ({types}) ORDER BY 1"
        connection.execute("SET timezone = 'UTC'")
        rows = connection.execute(query).fetchall()  # type: ignore[arg-type]
    assert differences(map(list, rows), READ) == []


def _in_flink(given: Any) -> str:
    text = given if isinstance(given, str) else json.dumps(given)
    return f"CAST({'NULL' if given is None else literal(text)} AS STRING)"
