"""Changes of type that mean the same in every engine, and arithmetic with the casts that keep it exact."""

from __future__ import annotations

from sqlglot import exp

from headrace.sql.live.refused import Refused
from headrace.sql.live.tree import Node
from headrace.sql.live.types import BOOLEAN, DATE, DOUBLE, TEXT, TIMESTAMP, Type, fits

_KINDS = {
    "DATE": DATE, "TIMESTAMP": TIMESTAMP, "TIMESTAMPTZ": TIMESTAMP, "TIMESTAMPLTZ": TIMESTAMP, "BOOLEAN": BOOLEAN,
    "TEXT": TEXT, "VARCHAR": TEXT, "DOUBLE": DOUBLE, "BIGINT": Type("integer", 19), "INT": Type("integer", 10),
    "SMALLINT": Type("integer", 5), "TINYINT": Type("integer", 3),
}  # fmt: skip
_ALWAYS = {("date", "text"), ("timestamp", "date"), ("date", "timestamp"), ("integer", "text")}
_PLAIN_SCALE = 6  # Java writes decimals of smaller units as 1E-7


def named(node: exp.Cast) -> Type:
    """The type that a CAST names; raises Refused."""
    wanted = node.to
    kind = wanted.this.name if isinstance(wanted.this, exp.DType) else str(wanted.this)
    if kind == "DECIMAL":
        digits = [int(p.name) for p in wanted.expressions] or [10]
        type_ = Type("decimal", digits[0], digits[1] if len(digits) > 1 else 0)
        if not 0 <= type_.scale <= type_.digits <= 38:
            raise Refused(node, "a decimal has at most 38 digits, and no more of them behind the point")
        return type_
    if kind not in _KINDS or (wanted.expressions and kind != "DECIMAL"):
        raise Refused(node, f"{wanted.sql('spark')} is no type of live views", f"there is: {_listed()}")
    return _KINDS[kind]


def _listed() -> str:
    return "DECIMAL(p,s), BIGINT, STRING, BOOLEAN, DATE, TIMESTAMP, and DOUBLE around sums"


def cast(node: exp.Cast, value: Node, reading: bool) -> Node:
    """CAST where it can't fail, TRY_CAST to a decimal where a value may not fit; raises Refused."""
    into = named(node)
    if value.type.kind in {"null", into.kind} and not into.is_exact:
        return widen(value, into)
    if value.type.is_exact and into.is_exact:
        if fits(value.type, into):
            return widen(value, into)
        if into.kind == "integer":
            raise Refused(node, "engines cut off what does not fit differently", "TRY_CAST(… AS DECIMAL(p,0))")
        return _tried(node, value, into)
    if value.type.kind == "double" and into.kind == "decimal" and not reading:
        return _tried(node, value, into)
    if value.type.is_exact and into.kind == "double":
        if not reading:
            raise Refused(node, "sums of floating point are not exact", "CAST the sum: CAST(SUM(…) AS DOUBLE)")
        return Node("cast", into, (value,))
    if (value.type.kind, into.kind) in _ALWAYS:
        return Node("cast", into, (value,))
    if value.type.kind == "decimal" and into.kind == "text" and value.type.scale <= _PLAIN_SCALE:
        return Node("cast", into, (value,))
    hint = "CASE WHEN … THEN 'true' ELSE 'false' END" if value.type.kind == "boolean" else ""
    raise Refused(node, f"engines make {into} of {value.type} in different ways", hint)


def _tried(node: exp.Cast, value: Node, into: Type) -> Node:
    if not isinstance(node, exp.TryCast):
        shown = node.this.sql("spark")
        hint = f"TRY_CAST({shown} AS {str(into).upper()}): NULL where it does not fit"
        raise Refused(node, f"not every {value.type} is a {into}, and a cast that fails stops one layer", hint)
    return Node("try_cast", into, (value,))


def widen(value: Node, into: Type) -> Node:
    """The value as another type that takes it unchanged."""
    if value.type == into:
        return value
    if value.op == "literal" and value.value is None:
        return Node("literal", into)
    if value.type.kind == into.kind == "integer":  # one type in every engine; only our bound of it differs
        return Node(value.op, into, value.args, value.value)
    return Node("cast", into, (value,))


def arithmetic(op: str, type_: Type, left: Node, right: Node) -> Node:
    """An exact operation whose result is of `type_`. Integers become decimals first where 64 bits may not do."""
    operands = (left, right)
    if type_.kind == "decimal":
        operands = tuple(widen(o, Type("decimal", o.type.digits, o.type.scale)) for o in operands)
    return Node(op, type_, operands)


def double(node: exp.Expr, op: str, left: Node, right: Node) -> Node:
    """+, - or * of floating point."""
    for one in (left, right):
        if not one.type.is_exact and one.type.kind not in {"double", "null"}:
            raise Refused(node, f"{one.type} is no number")
    return Node(op, DOUBLE, (widen(left, DOUBLE), widen(right, DOUBLE)))


def divide(node: exp.Div, left: Node, right: Node) -> Node:
    """A quotient of floating point whose divisor can't be zero."""
    if "double" not in {left.type.kind, right.type.kind}:
        hint = f"CAST({node.this.sql('spark')} AS DOUBLE) / …"
        raise Refused(node, "engines round quotients of decimals differently", hint)
    if not _is_never_zero(right):
        hint = f"… / NULLIF({node.expression.sql('spark')}, 0)"
        raise Refused(node, "one zero would make the whole view fail", hint)
    return double(node, "div", left, right)


def _is_never_zero(node: Node) -> bool:
    """Whether a divisor is a literal, COUNT(*) of a group (which is there only while it has rows), or NULLIF(…, 0)."""
    if node.op == "cast":
        return _is_never_zero(node.args[0])
    if node.op == "literal":
        return bool(node.value)
    if node.op == "case" and len(node.args) == 3:
        condition, then, other = node.args
        zero = condition.args[1] if condition.op == "eq" else None
        while zero is not None and zero.op == "cast":
            zero = zero.args[0]
        is_zero = zero is not None and zero.op == "literal" and zero.value is not None and not zero.value
        return is_zero and then.op == "literal" and then.value is None and _bare(condition.args[0]) == _bare(other)
    return node.op == "rows" and node.value == "grouped"


def _bare(node: Node) -> Node:
    return _bare(node.args[0]) if node.op == "cast" else node
