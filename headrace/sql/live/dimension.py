"""Flink SQL that keeps the present rows of a joined table in PostgreSQL, from the table's topic.

Snapshot rows and replayed messages count here like any other: the last message of a key says what its row is. A message
whose after-image is missing or breaks its contract takes the row away, as it does from the current tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace.sql.flink import name, typed_value, valid_value
from headrace.sql.live.flink import upserts
from headrace.sql.live.text import listed
from headrace.sql.live.tree import Dimension

if TYPE_CHECKING:
    from headrace.project.contract import Column

TARGET = "headrace_joined_{}"


def insert(dimension: Dimension, number: int) -> str:
    """The statement that fills the sink of the view's joined table `number` (from 1) from `<table>_bus`."""
    columns: Iterable[Column] = dimension.table.columns
    valid = ["`op` IN ('c', 'u', 'r')", "`after` IS NOT NULL"]
    valid += [valid_value(c, f"`after`.{name(c.name)}") for c in columns]
    there = f"COALESCE({' AND '.join(valid)}, FALSE)"
    shown, keyed = [], []
    for column in columns:
        if column.name not in dimension.columns:
            continue
        before, after = (typed_value(column, f"`{image}`.{name(column.name)}") for image in ("before", "after"))
        if column.name in dimension.table.key:
            value = f"COALESCE({after}, {before})"
            keyed.append(f"{name(column.name)} IS NOT NULL")
        else:
            value = f"CASE WHEN {there} THEN {after} END"
        moment = column.logical == "timestamp"
        shown.append(f"{f'CAST({value} AS STRING)' + _ZONE if moment else value} AS {name(column.name)}")
    shown += [f"NOT {there} AS `gone`", "`__partition` AS `part`", "`__offset` AS `upto`"]
    raw = name(f"{dimension.table.name}_bus")
    inner = f"SELECT {listed(shown)}\nFROM {raw}\nWHERE `op` IN ('c', 'u', 'd', 'r')"
    return f"INSERT INTO {TARGET.format(number)}\nSELECT * FROM (\n{inner})\nWHERE {' AND '.join(keyed)}"


def sink(dimension: Dimension, number: int, table: str, serving: str, user: str, password: str) -> str:
    """CREATE TABLE over PostgreSQL; `serving` is a JDBC address, `table` the name of the table there."""
    columns: Iterable[Column] = dimension.table.columns
    types = {c.name: "STRING" if c.logical == "timestamp" else c.flink for c in columns if c.name in dimension.columns}
    types |= {"gone": "BOOLEAN", "part": "INT", "upto": "BIGINT"}
    return upserts(TARGET.format(number), types, dimension.table.key, table, serving, user, password)


_ZONE = " || '+00'"
