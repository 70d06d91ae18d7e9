"""Aggregates as sums over signed changes: which measures each needs, and how it is read from them."""

from __future__ import annotations

from sqlglot import exp

from headrace.sql.live.casts import widen
from headrace.sql.live.refused import Refused
from headrace.sql.live.scalars import Scalars
from headrace.sql.live.tree import APPENDED, Measure, Node, Table
from headrace.sql.live.types import COUNT, Type, averaged, summed

AGGREGATES = (exp.AggFunc, exp.CountIf, exp.ApproxDistinct, exp.Filter)  # whatever adds up rows
_KEPT = (exp.Sum, exp.Count, exp.CountIf, exp.Avg, exp.Min, exp.Max)
_ORDERED = {"integer", "decimal", "date", "timestamp"}
_INSTEAD = "allowed are SUM, COUNT, COUNT_IF, AVG, FILTER (WHERE …), and over events MIN and MAX"


class Aggregates:
    """Reads aggregates; equal ones share their measures. `measures` has what they need, in order of appearance."""

    def __init__(self, scalars: Scalars, table: Table, grouped: bool) -> None:
        self.scalars, self.table, self.grouped = scalars, table, grouped
        self.measures: list[Measure] = []

    def read(self, node: exp.Expr) -> Node:
        """An aggregate as a node over measures. Raises Refused."""
        condition, call = None, node
        if isinstance(node, exp.Filter):
            call, condition = node.this, self.scalars.condition(node.expression.this)
        if isinstance(call, exp.ApproxDistinct):
            raise Refused(node, "Spark, Flink and PostgreSQL have no sketch that each of them can merge", _INSTEAD)
        if not isinstance(call, _KEPT):
            raise Refused(node, "it can't be kept from sums over changes", _INSTEAD)
        if isinstance(call.this, exp.Distinct):
            hint = (
                "a batch view without `live` can; or group by the column and count the groups in the query that reads"
            )
            raise Refused(node, "how often each value is left must be known to take one back; sums don't tell", hint)
        if isinstance(call, exp.Count):
            return self._count(call, condition)
        if isinstance(call, exp.CountIf):
            return self._counted(self._where(_one(), self.scalars.condition(call.this)), condition)
        value = self.scalars.read(call.this)
        if isinstance(call, exp.Min | exp.Max):
            return self._extreme(call, value, condition)
        return self._sum(call, value, condition)

    def _count(self, call: exp.Count, condition: Node | None) -> Node:
        if call.expressions:
            raise Refused(
                call, "COUNT of several expressions", "COUNT(CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN 1 END)"
            )
        if isinstance(call.this, exp.Star | exp.Literal):
            if condition is None:
                return Node("rows", COUNT, value="grouped" if self.grouped else "")
            return self._counted(_one(), condition)
        return self._counted(self.scalars.read(call.this), condition)

    def _counted(self, value: Node, condition: Node | None) -> Node:
        return Node("count", COUNT, value=self._measure("count", self._where(value, condition)))

    def _sum(self, call: exp.Expr, value: Node, condition: Node | None) -> Node:
        if value.type.kind == "double":
            shown = call.this.sql("spark")
            hint = f"{call.key.upper()}(TRY_CAST({shown} AS DECIMAL(18,2)))"
            raise Refused(call, "sums of floating point depend on the order of the changes", hint)
        if not value.type.is_exact:
            raise Refused(call, f"{value.type} can't be summed")
        if summed(value.type) is None:
            hint = f"TRY_CAST({call.this.sql('spark')} AS DECIMAL(28,{min(value.type.scale, 28)}))"
            raise Refused(call, f"sums of {value.type} can need more than 38 digits (ten more than a value)", hint)
        value = self._where(value, condition)
        names = (self._measure("sum", value), self._measure("count", value))
        if isinstance(call, exp.Avg):
            return Node("avg", averaged(value.type), value=names)
        return Node("sum", summed(value.type) or value.type, value=names)

    def _extreme(self, call: exp.Expr, value: Node, condition: Node | None) -> Node:
        kind = "min" if isinstance(call, exp.Min) else "max"
        if self.table.mode != APPENDED:
            reason = f"rows of {self.table.name!r} change, and when the {kind}imum goes, the next one is not known"
            raise Refused(call, reason, f"{kind.upper()} over a table of events, or without `live`")
        if value.type.kind not in _ORDERED:
            raise Refused(call, f"engines order {value.type} differently")
        value = self._where(value, condition)
        return Node(kind, value.type, value=self._measure(kind, value))

    def _where(self, value: Node, condition: Node | None) -> Node:
        """The value where a condition holds, else NULL, which every aggregate leaves out."""
        return value if condition is None else Node("case", value.type, (condition, value, Node("literal", value.type)))

    def _measure(self, kind: str, node: Node) -> str:
        if kind == "sum" and (type_ := summed(node.type)) and type_.kind == "decimal":
            node = widen(node, Type("decimal", node.type.digits, node.type.scale))
        found = next((m for m in self.measures if (m.kind, m.node) == (kind, node)), None)
        if found is None:
            found = Measure(f"m{len(self.measures) + 1}", kind, node)
            self.measures.append(found)
        return found.name


def _one() -> Node:
    return Node("literal", Type("integer", 1), value=1)
