"""Spark SQL of a live view: partials per key from signed rows, and how they are added to a stored table of partials.

Signed rows are a query that gives the driving table's columns with their types, and `_sign`: 1 for an image that came,
-1 for one that went (headrace.batch.live_rows writes such queries over landing).
"""

from __future__ import annotations

from datetime import datetime

from headrace.sql.live.text import Dialect, listed
from headrace.sql.live.tree import Measure, Node, View
from headrace.sql.live.types import written

SIGN = "_sign"
KEY, ROWS = "group_key", "row_count"  # columns of every table of partials, beside k1, k2, … and m1, m2, …


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
    """One row per key over signed rows: group_key, k1 …, m1 …, row_count (Σ sign).

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


def merge(view: View, stored: str, partial: str) -> str:
    """The statement that adds partials to a stored table of them. Not to be repeated: the commit must carry the cut.

    A key goes away only when nothing at all is left of it: after a step of the broker's clock, rows may be taken back
    before they came, and what is owed until then counts.
    """
    same = "\n    AND ".join([f"t.{ROWS} + s.{ROWS} = 0", *(_nothing(m) for m in view.measures)])
    columns = [KEY, *(k.name for k in view.keys), *(m.name for m in view.measures), ROWS]
    updates = [f"{m.name} = {_added(m)}" for m in view.measures] + [f"{ROWS} = t.{ROWS} + s.{ROWS}"]
    lines = [f"MERGE INTO {stored} AS t USING (\n{partial}\n) AS s ON t.{KEY} = s.{KEY}"]
    if not any(m.kind in {"min", "max"} for m in view.measures):
        lines.append(f"WHEN MATCHED AND {same} THEN DELETE")
    lines.append(f"WHEN MATCHED THEN UPDATE SET {', '.join(f't.{u}' for u in updates)}")
    lines.append(f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({', '.join('s.' + c for c in columns)})")
    return "\n".join(lines)


def _sum(measure: Measure) -> str:
    value, type_ = f"v_{measure.name}", written(measure.type, "spark")
    if measure.kind in {"min", "max"}:
        return f"{measure.kind.upper()}({value})"
    if measure.kind == "count":
        return f"COALESCE(SUM(CASE WHEN {value} IS NOT NULL THEN CAST({SIGN} AS BIGINT) END), 0)"
    return f"CAST(COALESCE(SUM(CASE WHEN {SIGN} > 0 THEN {value} ELSE - {value} END), 0) AS {type_})"


def _added(measure: Measure) -> str:
    both = f"t.{measure.name}", f"s.{measure.name}"
    if measure.kind in {"min", "max"}:
        return f"{'least' if measure.kind == 'min' else 'greatest'}({', '.join(both)})"
    return f"CAST({' + '.join(both)} AS {written(measure.type, 'spark')})"


def _nothing(measure: Measure) -> str:
    return f"t.{measure.name} + s.{measure.name} = 0"
