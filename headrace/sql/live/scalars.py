"""Scalar expressions of the allow-list, with a type for every node: what is not here, a live view refuses.

An expression is allowed when Spark, Flink and PostgreSQL give the same value for every operand, to the last digit, and
when it can't fail: a value that made one engine stop would leave its two layers apart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlglot import exp

from headrace.sql.live import casts, times
from headrace.sql.live.refused import Refused
from headrace.sql.live.tree import Node
from headrace.sql.live.types import BOOLEAN, NULL, TEXT, Type, added, common, multiplied, number

Leaf = Callable[[exp.Expr], Node | None]

ALLOWED = (
    "allowed are columns, literals, + - *, comparisons, AND OR NOT, IS NULL, CASE, COALESCE, NULLIF, IN,\n"
    "BETWEEN, LIKE, UPPER, LOWER, TRIM, CONCAT, SUBSTRING, CAST, TRY_CAST, DATE_TRUNC, EXTRACT, window(…).start"
)
_COMPARED = {
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
    exp.NullSafeEQ: "same",
}
_ORDERED = {"integer", "decimal", "date", "timestamp", "null"}
_EQUATED = _ORDERED | {"text", "boolean"}


class Scalars:
    """Reads scalar expressions. `leaf` gives the node of a column, key or aggregate, and None for everything else.

    `reading`: the expression is computed by PostgreSQL alone, when the view is read; DOUBLE and division are allowed.
    """

    def __init__(self, leaf: Leaf, reading: bool = False) -> None:
        self.leaf, self.reading = leaf, reading

    def read(self, node: exp.Expr) -> Node:
        """The expression as a node of ours; raises Refused."""
        found = self.leaf(node)
        if found is not None:
            return found
        if isinstance(node, exp.Paren):
            return self.read(node.this)
        if type(node) in _COMPARED:
            return self._compare(node, _COMPARED[type(node)], self.read(node.this), self.read(node.expression))
        for kinds, method in _METHODS:
            if isinstance(node, kinds):
                return method(self, node)
        raise Refused(node, "it is not on the list of what all engines compute alike", ALLOWED)

    def condition(self, node: exp.Expr) -> Node:
        """A boolean expression."""
        found = self.read(node)
        if found.type.kind not in {"boolean", "null"}:
            raise Refused(node, f"a condition is needed here, this is {found.type}")
        return found

    def alike(self, node: exp.Expr, *nodes: Node) -> tuple[Node, ...]:
        """The nodes cast to the one type that takes all their values unchanged."""
        type_ = NULL
        for one in nodes:
            both = common(type_, one.type)
            if both is None:
                hint = "CAST one of them" if {type_.kind, one.type.kind} <= {"integer", "decimal", "double"} else ""
                raise Refused(node, f"it mixes {type_} and {one.type}, which engines convert differently", hint)
            type_ = both
        return tuple(casts.widen(n, type_) for n in nodes)

    def _literal(self, node: exp.Literal) -> Node:
        if node.is_string:
            if "\0" in node.this:
                raise Refused(node, "PostgreSQL has no text with the character NUL")
            return Node("literal", TEXT, value=node.this)
        if "e" in node.this.lower():
            raise Refused(node, "floating point has no exact sums", "write it with all its digits, such as 0.001")
        digits = Decimal(node.this).as_tuple()
        scale = max(-int(digits.exponent), 0)
        type_ = number(max(len(digits.digits), scale), scale)
        if type_ is None:
            raise Refused(node, "it has more than 38 digits")
        value = Decimal(node.this)
        return Node("literal", type_, value=int(value) if type_.kind == "integer" else value)

    def _constant(self, node: exp.Expr) -> Node:
        if isinstance(node, exp.Null):
            return Node("literal", NULL)
        return Node("literal", BOOLEAN, value=bool(node.this))

    def _compare(self, node: exp.Expr, op: str, left: Node, right: Node) -> Node:
        left, right = self.alike(node, left, right)
        self._comparable(node, op in {"eq", "ne", "same"}, left)
        return Node(op, BOOLEAN, (left, right))

    def _comparable(self, node: exp.Expr, equal: bool, *operands: Node) -> None:
        for one in operands:
            if one.type.kind == "double":
                if not self.reading:
                    raise Refused(node, "DOUBLE is not exact", "TRY_CAST(… AS DECIMAL(18,2)), and compare that")
            elif one.type.kind == "text" and not equal:
                raise Refused(node, "engines order texts differently", "compare texts with = <> IN or LIKE")
            elif one.type.kind not in (_EQUATED if equal else _ORDERED):
                raise Refused(node, f"{one.type} can't be compared alike in all engines")

    def _logic(self, node: exp.Expr) -> Node:
        op = "and" if isinstance(node, exp.And) else "or"
        return Node(op, BOOLEAN, (self.condition(node.this), self.condition(node.expression)))

    def _not(self, node: exp.Not) -> Node:
        return Node("not", BOOLEAN, (self.condition(node.this),))

    def _is(self, node: exp.Is) -> Node:
        if not isinstance(node.expression, exp.Null):
            raise Refused(node, "only IS NULL and IS NOT NULL", "… = TRUE")
        return Node("is_null", BOOLEAN, (self.read(node.this),))

    def _case(self, node: exp.Case | exp.If) -> Node:
        branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
        subject = node.this if isinstance(node, exp.Case) else None
        conditions, values = [], []
        for branch in branches:
            if subject is None:
                conditions.append(self.condition(branch.this))
            else:
                conditions.append(self._compare(node, "eq", self.read(subject), self.read(branch.this)))
            values.append(self.read(branch.args["true"]))
        other = node.args.get("default") if isinstance(node, exp.Case) else node.args.get("false")
        values.append(self.read(other) if other is not None else Node("literal", NULL))
        values = self.alike(node, *values)
        pairs = [part for pair in zip(conditions, values[:-1], strict=True) for part in pair]
        return Node("case", values[0].type, (*pairs, values[-1]))

    def _coalesce(self, node: exp.Coalesce) -> Node:
        given = self.alike(node, self.read(node.this), *map(self.read, node.expressions))
        return Node("coalesce", given[0].type, given)

    def _nullif(self, node: exp.Nullif) -> Node:
        kept, other = self.read(node.this), self.read(node.expression)
        same = self._compare(node, "eq", kept, other)
        return Node("case", kept.type, (same, Node("literal", kept.type), kept))

    def _in(self, node: exp.In) -> Node:
        if node.args.get("query") or not node.expressions:
            raise Refused(node, "a subquery's rows change without a change of the row", "list the values")
        given = self.alike(node, self.read(node.this), *map(self.read, node.expressions))
        self._comparable(node, True, *given)
        return Node("in", BOOLEAN, given)

    def _between(self, node: exp.Between) -> Node:
        if node.args.get("symmetric"):
            raise Refused(node, "not every engine has SYMMETRIC")
        value = self.read(node.this)
        low = self._compare(node, "ge", value, self.read(node.args["low"]))
        return Node("and", BOOLEAN, (low, self._compare(node, "le", value, self.read(node.args["high"]))))

    def _like(self, node: exp.Like) -> Node:
        pattern = node.expression
        if not (isinstance(pattern, exp.Literal) and pattern.is_string) or set(pattern.this) & set("_\\"):
            hint = "LIKE 'a%', '%a' or '%a%'"
            raise Refused(node, "patterns with _ or \\, and computed ones, match differently", hint)
        return Node("like", BOOLEAN, (self._text(node, node.this),), pattern.this)

    def _arithmetic(self, node: exp.Binary) -> Node:
        left, right = self.read(node.this), self.read(node.expression)
        op = "add" if isinstance(node, exp.Add) else "sub" if isinstance(node, exp.Sub) else "mul"
        if self.reading and "double" in {left.type.kind, right.type.kind}:
            return casts.double(node, op, left, right)
        for one in (left, right):
            if not one.type.is_exact:
                hint = "TRY_CAST(… AS DECIMAL(18,2))" if one.type.kind == "double" else ""
                raise Refused(node, f"{one.type} has no exact arithmetic in all engines", hint)
        type_ = (multiplied if op == "mul" else added)(left.type, right.type)
        if type_ is None:
            hint = "CAST the operands to decimals of fewer digits with TRY_CAST"
            raise Refused(node, f"{left.type} and {right.type} can give more than 38 digits", hint)
        return casts.arithmetic(op, type_, left, right)

    def _divide(self, node: exp.Div) -> Node:
        if not self.reading:
            raise Refused(
                node, "engines round quotients differently", "divide the sums: CAST(SUM(a) AS DOUBLE) / COUNT(*)"
            )
        return casts.divide(node, self.read(node.this), self.read(node.expression))

    def _negate(self, node: exp.Neg) -> Node:
        value = self.read(node.this)
        if not value.type.is_exact or (value.type.kind == "integer" and value.type.digits > 18):
            raise Refused(node, f"{value.type} can't be negated without overflow", "0 - …")
        return Node("neg", value.type, (value,))

    def _text(self, node: exp.Expr, inner: exp.Expr) -> Node:
        value = self.read(inner)
        if value.type.kind not in {"text", "null"}:
            raise Refused(node, f"a text is needed, this is {value.type}", "CAST(… AS STRING)")
        return casts.widen(value, TEXT)

    def _letters(self, node: exp.Upper | exp.Lower) -> Node:
        if self.reading:
            raise Refused(
                node, "PostgreSQL's letters depend on its locale", "GROUP BY it, or have it inside of the sums"
            )
        return Node("upper" if isinstance(node, exp.Upper) else "lower", TEXT, (self._text(node, node.this),))

    def _trim(self, node: exp.Trim) -> Node:
        if any(node.args.get(a) for a in ("expression", "position", "collation")):
            raise Refused(node, "only TRIM(text), which takes blanks from both ends")
        return Node("trim", TEXT, (self._text(node, node.this),))

    def _concat(self, node: exp.Concat | exp.DPipe) -> Node:
        parts = node.expressions if isinstance(node, exp.Concat) else [node.this, node.expression]
        return Node("concat", TEXT, tuple(self._text(node, p) for p in parts))

    def _substring(self, node: exp.Substring) -> Node:
        start, length = node.args.get("start"), node.args.get("length")
        if not (_is_whole(start, 1) and (length is None or _is_whole(length, 0))):
            raise Refused(node, "engines count from other places", "a literal start from 1 and a literal length")
        bounds = (int(start.this), int(length.this) if length is not None else None)  # type: ignore[union-attr]
        return Node("substring", TEXT, (self._text(node, node.this),), bounds)

    def _cast(self, node: exp.Cast) -> Node:
        if isinstance(node.this, exp.Literal) and node.this.is_string:
            return _moment(node)
        return casts.cast(node, self.read(node.this), self.reading)

    def _time(self, node: exp.Expr) -> Node:
        return times.read(node, self.read)


def _is_whole(node: exp.Expr | None, least: int) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() and int(node.this) >= least


def _moment(node: exp.Cast) -> Node:
    """A literal with its type: DATE '2026-01-31', TIMESTAMP '2026-01-31 12:00:00' in UTC, or a decimal."""
    type_, text = casts.named(node), node.this.this
    try:
        if type_.kind == "date":
            return Node("literal", type_, value=date.fromisoformat(text))
        if type_.kind == "timestamp":
            moment = datetime.fromisoformat(text)
            return Node("literal", type_, value=moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))
        if type_.is_exact:
            value = Node("literal", _exact(text), value=Decimal(text))
            return casts.cast(node, value, False)
    except (ValueError, ArithmeticError):
        raise Refused(node, f"{text!r} is no {type_}") from None
    return casts.cast(node, Node("literal", TEXT, value=text), False)


def _exact(text: str) -> Type:
    digits = Decimal(text).as_tuple()
    scale = max(-int(digits.exponent), 0)
    type_ = number(max(len(digits.digits), scale), scale)
    if type_ is None:
        raise ValueError(text)
    return type_


_METHODS: list[tuple[Any, Callable[[Scalars, Any], Node]]] = [
    (exp.Literal, Scalars._literal),
    ((exp.Null, exp.Boolean), Scalars._constant),
    ((exp.And, exp.Or), Scalars._logic),
    (exp.Not, Scalars._not),
    (exp.Is, Scalars._is),
    ((exp.Case, exp.If), Scalars._case),
    (exp.Coalesce, Scalars._coalesce),
    (exp.Nullif, Scalars._nullif),
    (exp.In, Scalars._in),
    (exp.Between, Scalars._between),
    (exp.Like, Scalars._like),
    ((exp.Add, exp.Sub, exp.Mul), Scalars._arithmetic),
    (exp.Div, Scalars._divide),
    (exp.Neg, Scalars._negate),
    ((exp.Upper, exp.Lower), Scalars._letters),
    (exp.Trim, Scalars._trim),
    ((exp.Concat, exp.DPipe), Scalars._concat),
    (exp.Substring, Scalars._substring),
    (times.KINDS, Scalars._time),
    (exp.Cast, Scalars._cast),
]  # fmt: skip
