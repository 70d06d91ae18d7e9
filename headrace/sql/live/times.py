"""Times in live views: starts of units and of windows, and parts of a time. Everything is UTC."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from headrace.sql.live.refused import Refused
from headrace.sql.live.tree import Node
from headrace.sql.live.types import TIMESTAMP, Type

UNITS = ("MINUTE", "HOUR", "DAY", "MONTH", "YEAR")
_PARTS = {exp.Year: "YEAR", exp.Month: "MONTH", exp.Day: "DAY", exp.Hour: "HOUR", exp.Minute: "MINUTE"}
_DIGITS = {"YEAR": 4, "MONTH": 2, "DAY": 2, "HOUR": 2, "MINUTE": 2}
_WINDOW = re.compile(r"\s*(\d+)\s+(minute|hour)s?\s*", re.IGNORECASE)
# A window of these lengths begins anew with each hour or day, so that its start can be told from the clock's parts.
_LENGTHS = {"minute": {n for n in range(1, 61) if 60 % n == 0}, "hour": {n for n in range(1, 25) if 24 % n == 0}}

KINDS = (exp.TimestampTrunc, exp.Extract, exp.Dot, *_PARTS)


def read(node: exp.Expr, operand: Callable[[exp.Expr], Node]) -> Node:
    """DATE_TRUNC, EXTRACT, YEAR(…) and its like, window(…).start; raises Refused for other units and lengths."""
    if isinstance(node, exp.TimestampTrunc):
        unit = str(node.args["unit"].name).upper()
        if unit not in UNITS or node.args.get("zone"):
            raise Refused(node, f"engines begin a {unit.lower()} at different times", f"units: {', '.join(UNITS)}")
        return Node("trunc", TIMESTAMP, (_of(node, operand(node.this), {"timestamp"}),), unit)
    if isinstance(node, exp.Dot):
        return _window(node, operand)
    if isinstance(node, exp.Extract):
        unit, inner = str(node.this.name).upper(), node.expression
    else:
        unit, inner = _PARTS[type(node)], node.this
        inner = inner.this if isinstance(inner, exp.TsOrDsToDate) else inner
    if unit not in _DIGITS:
        raise Refused(node, f"engines count a {unit.lower()} differently", f"parts: {', '.join(_DIGITS)}")
    kinds = {"timestamp"} if unit in {"HOUR", "MINUTE"} else {"timestamp", "date"}
    return Node("part", Type("integer", _DIGITS[unit]), (_of(node, operand(inner), kinds),), unit)


def _of(node: exp.Expr, value: Node, kinds: set[str]) -> Node:
    if value.type.kind not in kinds:
        raise Refused(node, f"this needs a {' or a '.join(sorted(kinds))}, not {value.type}")
    return value


def _window(node: exp.Dot, operand: Callable[[exp.Expr], Node]) -> Node:
    call = node.this
    name = call.name.lower() if isinstance(call, exp.Anonymous) else ""
    if name not in {"tumble", "window"} or node.expression.name.lower() != "start":
        raise Refused(
            node, "it is not on the list of what all engines compute alike", "window(placed_at, '10 minutes').start"
        )
    given = call.expressions
    match = _WINDOW.fullmatch(given[1].name) if len(given) == 2 and isinstance(given[1], exp.Literal) else None
    if not match or int(match[1]) not in _LENGTHS[match[2].lower()]:
        hint = "a length that divides an hour or a day, such as '10 minutes' or '6 hours', and nothing else"
        raise Refused(node, "its windows would not begin with an hour or a day", hint)
    value = (int(match[1]), match[2].upper())
    return Node("bucket", TIMESTAMP, (_of(node, operand(given[0]), {"timestamp"}),), value)
