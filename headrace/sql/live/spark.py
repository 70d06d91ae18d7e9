"""Spark SQL of a live view: partials per key from signed rows.

Signed rows are a query that gives the driving table's columns with their types, and `_sign`: 1 for an image that came,
-1 for one that went (headrace.batch.live_rows writes such queries over landing).
"""

from __future__ import annotations

from datetime import datetime

from headrace.sql.live.text import Dialect, listed
from headrace.sql.live.tree import Measure, Node, View
from headrace.sql.live.types import written

SIGN = "_sign"
KEY, ROWS, IMAGES = (
    "group_key",
    "row_count",
    "images",
)  # columns of every table of partials, beside k1, k2, … and m1, m2, …


class Spark(Dialect):
    engine = "spark"

    def string(self, text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def moment(self, value: datetime) -> str:
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')} UTC'"

    def _trunc(self, node: Node) -> str:
        return f"date_trunc('{node.value}', {self.text(node.args[0])})"

    def _bucket(self, node: Node) -> str:
        length, unit = node.value
        outer = "HOUR" if unit == "MINUTE" else "DAY"
        moment = self.text(node.args[0])
        part = f"extract({unit} FROM {moment})"
        return f"timestampadd({unit}, CAST({part} - {part} % {length} AS INT), date_trunc('{outer}', {moment}))"

    def _part(self, node: Node) -> str:
        return f"CAST(extract({node.value} FROM {self.text(node.args[0])}) AS BIGINT)"


def name(column: str) -> str:
    """An identifier in Spark's quotes."""
    return "`" + column.replace("`", "``") + "`"


def _column(node: Node) -> str:
    assert node.op == "column", node.op
    return name(node.value)


def partials(view: View, rows: str) -> str:
    """One row per key over signed rows: group_key, k1 …, m1 …, row_count (Σ sign), images (how many rows they were).

    Keys of which nothing is left are not left out: what they owe to other partials must stay.

    Guarantee: the sum of the partials of any division of the same signed rows is the same.
    """
    dialect = Spark(_column)
    keys = [f"{key(k.node, dialect)} AS {k.name}" for k in view.keys]
    values = [f"{dialect.text(m.node)} AS v_{m.name}" for m in view.measures]
    inner = f"SELECT {listed([*keys, *values, SIGN])}\nFROM ({rows})\nWHERE {dialect.true(view.filter)}"
    names = [k.name for k in view.keys]
    sums = [f"{_sum(m)} AS {m.name}" for m in view.measures]
    shown = [f"{group_key(view)} AS {KEY}", *names, *sums, f"COALESCE(SUM(CAST({SIGN} AS BIGINT)), 0) AS {ROWS}"]
    shown.append(f"COUNT(*) AS {IMAGES}")
    grouped = f"\nGROUP BY {', '.join(names)}" if names else ""
    return f"SELECT {listed(shown)}\nFROM (\n{inner})" + grouped


def key(node: Node, dialect: Dialect) -> str:
    """A key's value. PostgreSQL has no text with NUL: such a character is left out, in both layers."""
    text = dialect.text(node)
    return f"REPLACE({text}, '\\u0000', '')" if node.type.kind == "text" else text


def group_key(view: View) -> str:
    """A text of fixed length that tells keys apart, NULL from every value too."""
    parts = []
    for k in view.keys:
        text = (
            f"CAST(unix_micros({k.name}) AS STRING)" if k.node.type.kind == "timestamp" else f"CAST({k.name} AS STRING)"
        )
        text = k.name if k.node.type.kind == "text" else text
        parts.append(f"COALESCE(CONCAT(CAST(length({text}) AS STRING), ':', {text}), '-')")
    return f"sha2(CONCAT({', '.join(parts)}), 256)" if parts else "''"


def _sum(measure: Measure) -> str:
    value, type_ = f"v_{measure.name}", written(measure.type, "spark")
    if measure.kind in {"min", "max"}:
        return f"{measure.kind.upper()}({value})"
    if measure.kind == "count":
        return f"COALESCE(SUM(CASE WHEN {value} IS NOT NULL THEN CAST({SIGN} AS BIGINT) END), 0)"
    return f"CAST(COALESCE(SUM(CASE WHEN {SIGN} > 0 THEN {value} ELSE - {value} END), 0) AS {type_})"
