"""The algebra of live views in Python, for tests: what each expression gives, and what partials, cuts and reading do.

`evaluate` says what SQL means by an operation; engine tests compare Spark, Flink and PostgreSQL with it. `partials`,
`add` and `shown` are the two layers and their merge; `plain` is the same query over rows that are simply there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from headrace.sql.live.tree import Measure, Node, View
from headrace.sql.live.types import COUNT

Row = Mapping[str, Any]
_EXACT = Context(prec=60)


def evaluate(node: Node, row: Any) -> Any:
    """The value of an expression; `row(node)` gives that of a leaf."""
    method = OPERATIONS.get(node.op)
    return row(node) if method is None else method(node, row)


def column(row: Row):
    """Leaves of a row of the driving table."""
    return lambda node: row[node.value]


def _strict(operation):
    def run(node: Node, row: Any) -> Any:
        values = [evaluate(a, row) for a in node.args]
        return None if any(v is None for v in values) else operation(node, *values)

    return run


def _literal(node: Node, row: Any) -> Any:
    return node.value


def _cast(node: Node, value: Any) -> Any:
    kind = node.type.kind
    if kind == "date":
        return value.astimezone(UTC).date() if isinstance(value, datetime) else value
    if kind == "timestamp":
        return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    if kind == "text":
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    if kind == "double":
        return float(value)
    return (
        Decimal(value).quantize(Decimal(1).scaleb(-node.type.scale), context=_EXACT)
        if kind == "decimal"
        else int(value)
    )


def _try_cast(node: Node, value: Any) -> Any:
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-node.type.scale), ROUND_HALF_UP, _EXACT)
    return exact if abs(exact) < Decimal(10) ** (node.type.digits - node.type.scale) else None


def _and(node: Node, row: Any) -> bool | None:
    values = [evaluate(a, row) for a in node.args]
    return False if False in values else None if None in values else True


def _or(node: Node, row: Any) -> bool | None:
    values = [evaluate(a, row) for a in node.args]
    return True if True in values else None if None in values else False


def _case(node: Node, row: Any) -> Any:
    *pairs, other = node.args
    for condition, value in zip(pairs[::2], pairs[1::2], strict=True):
        if evaluate(condition, row) is True:
            return evaluate(value, row)
    return evaluate(other, row)


def _in(node: Node, row: Any) -> bool | None:
    value, *listed = (evaluate(a, row) for a in node.args)
    if value is None:
        return None
    return True if value in [v for v in listed if v is not None] else None if None in listed else False


def _like(node: Node, value: str) -> bool:
    first, *rest = node.value.split("%")
    if not rest:
        return value == first
    if not value.startswith(first) or not value.endswith(rest[-1]) or len(value) < len(first) + len(rest[-1]):
        return False
    at, end = len(first), len(value) - len(rest[-1])
    for part in rest[:-1]:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _trunc(node: Node, value: datetime) -> datetime:
    names = {"YEAR": 1, "MONTH": 2, "DAY": 3, "HOUR": 4, "MINUTE": 5}
    parts = [value.year, value.month, value.day, value.hour, value.minute][: names[node.value]]
    return datetime(*[*parts, 1, 1][: max(3, len(parts))], tzinfo=UTC)


def _bucket(node: Node, value: datetime) -> datetime:
    length = timedelta(**{f"{node.value[1].lower()}s": node.value[0]})
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return start + (value - start) // length * length


def _substring(node: Node, value: str) -> str:
    start, length = node.value
    return value[start - 1 :][: len(value) if length is None else length]


OPERATIONS: dict[str, Any] = {
    "literal": _literal,
    "cast": _strict(_cast),
    "try_cast": _strict(_try_cast),
    "add": _strict(lambda n, a, b: a + b),
    "sub": _strict(lambda n, a, b: a - b),
    "mul": _strict(lambda n, a, b: _EXACT.multiply(a, b) if isinstance(a, Decimal) else a * b),
    "div": _strict(lambda n, a, b: a / b),
    "neg": _strict(lambda n, a: -a),
    "eq": _strict(lambda n, a, b: a == b),
    "ne": _strict(lambda n, a, b: a != b),
    "lt": _strict(lambda n, a, b: a < b),
    "le": _strict(lambda n, a, b: a <= b),
    "gt": _strict(lambda n, a, b: a > b),
    "ge": _strict(lambda n, a, b: a >= b),
    "same": lambda n, row: evaluate(n.args[0], row) == evaluate(n.args[1], row),
    "and": _and,
    "or": _or,
    "not": _strict(lambda n, a: not a),
    "is_null": lambda n, row: evaluate(n.args[0], row) is None,
    "case": _case,
    "coalesce": lambda n, row: next((v for a in n.args if (v := evaluate(a, row)) is not None), None),
    "in": _in,
    "like": _strict(_like),
    "upper": _strict(lambda n, a: a.upper()),
    "lower": _strict(lambda n, a: a.lower()),
    "trim": _strict(lambda n, a: a.strip(" ")),
    "concat": _strict(lambda n, *parts: "".join(parts)),
    "substring": _strict(_substring),
    "trunc": _strict(_trunc),
    "bucket": _strict(_bucket),
    "part": _strict(lambda n, a: getattr(a, n.value.lower())),
}


# The two layers.


@dataclass
class Partial:
    """What one layer keeps of a key: its measures, Σ sign, and for the speed layer how many images came in."""

    measures: dict[str, Any]
    rows: int = 0
    images: int = 0

    def add(self, measures: Iterable[Measure], other: Partial) -> None:
        for m in measures:
            self.measures[m.name] = _added(m, self.measures[m.name], other.measures[m.name])
        self.rows += other.rows
        self.images += other.images

    @property
    def is_nothing(self) -> bool:
        return not self.rows and not any(self.measures.values())


def _added(measure: Measure, one: Any, other: Any) -> Any:
    if measure.kind in {"min", "max"}:
        there = [v for v in (one, other) if v is not None]
        return (min if measure.kind == "min" else max)(there) if there else None
    return one + other


def contribution(view: View, image: Row, sign: int) -> tuple[tuple[Any, ...], Partial] | None:
    """The key and the partial of one image; None when the filter leaves it out."""
    leaf = column(image)
    if view.filter is not None and evaluate(view.filter, leaf) is not True:
        return None
    values = {}
    for m in view.measures:
        value = evaluate(m.node, leaf)
        if m.kind in {"min", "max"}:
            values[m.name] = value
        elif m.kind == "count":
            values[m.name] = sign * (value is not None)
        else:
            values[m.name] = sign * (value if value is not None else 0)
    return tuple(evaluate(k.node, leaf) for k in view.keys), Partial(values, sign, 1)


def nothing(view: View) -> Partial:
    return Partial({m.name: None if m.kind in {"min", "max"} else 0 for m in view.measures})


def partials(view: View, signed: Iterable[tuple[Row, int]]) -> dict[tuple[Any, ...], Partial]:
    """One partial per key over signed images."""
    found: dict[tuple[Any, ...], Partial] = {}
    for image, sign in signed:
        one = contribution(view, image, sign)
        if one:
            found.setdefault(one[0], nothing(view)).add(view.measures, one[1])
    return found


def add(view: View, stored: dict[tuple[Any, ...], Partial], more: Mapping[tuple[Any, ...], Partial]) -> None:
    """What the MERGE of spark.py does."""
    for key, partial in more.items():
        stored.setdefault(key, nothing(view)).add(view.measures, partial)
        if stored[key].is_nothing:
            del stored[key]


@dataclass
class Dimensions:
    """The present rows of joined tables: alias → key → row."""

    rows: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)


def shown(
    view: View,
    layers: Iterable[Mapping[tuple[Any, ...], Partial]],
    dimensions: Dimensions | None = None,
    hidden: bool = True,
) -> list[Row]:
    """What the view of postgres.py shows for partials of any number of layers.

    Without the `hidden` counts a group stays when its rows are gone, and a SUM of no values is 0.
    """
    groups: dict[tuple[Any, ...], Partial] = {}
    values: dict[tuple[Any, ...], Counter[Any]] = {}
    for layer in layers:
        for key, partial in layer.items():
            leaf = joined(view, key, dimensions or Dimensions())
            if leaf is None or (view.condition is not None and evaluate(view.condition, leaf) is not True):
                continue
            group = tuple(evaluate(g, leaf) for g in view.groups)
            groups.setdefault(group, nothing(view)).add(view.measures, partial)
            if view.distinct:
                value = leaf(Node("key", COUNT, value=view.distinct))
                values.setdefault(group, Counter())[value] += partial.rows if value is not None else 0
    if not view.grouped:
        groups.setdefault((), nothing(view))
    rows = []
    for group, whole in groups.items():
        leaf = _result(group, whole, sum(n > 0 for n in values.get(group, Counter()).values()), hidden)
        if view.grouped and whole.rows <= 0 and hidden:
            continue
        if view.having is None or evaluate(view.having, leaf) is True:
            rows.append({o.name: evaluate(o.node, leaf) for o in view.outputs})
    return rows


def joined(view: View, key: tuple[Any, ...], dimensions: Dimensions):
    values = {k.name: v for k, v in zip(view.keys, key, strict=True)}
    found: dict[str, Row | None] = {}

    def leaf(node: Node) -> Any:
        if node.op == "key":
            return values[node.value]
        row = found[node.value[0]]
        return None if row is None else row[node.value[1]]

    for dimension in view.dimensions:
        wanted = tuple(evaluate(n, leaf) for _, n in dimension.on)
        found[dimension.alias] = dimensions.rows.get(dimension.alias, {}).get(wanted)
        if found[dimension.alias] is None and not dimension.left:
            return None
    return leaf


def _result(group: tuple[Any, ...], whole: Partial, distinct: int, hidden: bool):
    def leaf(node: Node) -> Any:
        if node.op == "distinct":
            return distinct
        if node.op == "group":
            return group[int(node.value[1:]) - 1]
        if node.op == "rows":
            return whole.rows
        if node.op == "count":
            return whole.measures[node.value]
        if node.op in {"min", "max"}:
            return whole.measures[node.value]
        total, count = (whole.measures[m] for m in node.value)
        if count <= 0 and (hidden or node.op == "avg"):
            return None
        return total if node.op == "sum" else mean(node, total, count)

    return leaf


def mean(node: Node, total: Any, count: int) -> Any:
    if node.type.kind == "double":
        return float(total) / count
    scale = Decimal(1).scaleb(-node.type.scale)
    return (_EXACT.divide(Decimal(total), Decimal(count))).quantize(scale, ROUND_HALF_UP, _EXACT)
