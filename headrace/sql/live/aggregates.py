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
NO_EQUALITY = {"double", "json", "null"}  # kinds of values that can be no key
_ORDERED = {"integer", "decimal", "date", "timestamp"}
_INSTEAD = "allowed are SUM, COUNT, COUNT(DISTINCT), COUNT_IF, AVG, FILTER (WHERE …), and over events MIN and MAX"


class Aggregates:
    """Reads aggregates; equal ones share their measures. `measures` has what they need, in order of appearance.

    `distinct` is what COUNT(DISTINCT) counts, a value by which the partials are kept besides: a value is there as long
    as a row has it, so the count is exact also when rows change and go.
    """

    def __init__(self, scalars: Scalars, table: Table, grouped: bool) -> None:
        self.scalars, self.table, self.grouped = scalars, table, grouped
        self.measures: list[Measure] = []
        self.distinct: Node | None = None

    def read(self, node: exp.Expr) -> Node:
        """An aggregate as a node over measures. Raises Refused."""
        condition, call = None, node
        if isinstance(node, exp.Filter):
            call, condition = node.this, self.scalars.condition(node.expression.this)
        if isinstance(call, exp.ApproxDistinct):
            hint = f"COUNT(DISTINCT {call.this.sql('spark')}) is exact here"
            raise Refused(node, "Spark, Flink and PostgreSQL have no sketch that each of them can merge", hint)
        if not isinstance(call, _KEPT):
            raise Refused(node, "it can't be kept from sums over changes", _INSTEAD)
        if isinstance(call.this, exp.Distinct):
            return self._distinct(call, condition)
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

    def _distinct(self, call: exp.Expr, condition: Node | None) -> Node:
        """COUNT(DISTINCT value)."""
        values = call.this.expressions
        if not isinstance(call, exp.Count):
            shown = values[0].sql("spark")
            hint = f"{call.key.upper()}({shown}), or GROUP BY {shown} and add up the groups in the query that reads"
            raise Refused(call, "of different values only the count is kept", hint)
        if len(values) > 1:
            raise Refused(call, "COUNT(DISTINCT) of several expressions", "CONCAT them to one")
        value = self.scalars.read(values[0])
        if value.type.kind in NO_EQUALITY:
            raise Refused(call, f"{value.type} has no equality that all engines agree on")
        value = self._where(value, condition)
        if self.distinct not in (None, value):
            reason = "a second one would keep a partial for each pair of values"
            raise Refused(call, reason, "a live view for each COUNT(DISTINCT), joined by the query that reads")
        self.distinct = value
        return Node("distinct", COUNT)

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
