"""Expressions as SQL: what all three engines write alike. A dialect adds the names of types, literals and times.

Every operation of the allow-list has its one text here or in a dialect; `text` fails on others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from headrace.sql.live.tree import Node
from headrace.sql.live.types import Type, written

SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "and": "AND", "or": "OR", "same": "IS NOT DISTINCT FROM",
}  # fmt: skip
_ARITHMETIC = {"add", "sub", "mul"}


class Dialect:
    """Writes nodes for one engine. `names` says how a node that is a leaf (column, key, group, measure …) is called."""

    engine: ClassVar[str]

    def __init__(self, names: Callable[[Node], str]) -> None:
        self.names = names

    def text(self, node: Node) -> str:
        """The expression in the engine's SQL, in parentheses where it needs them."""
        if node.op in SIGNS:
            left, right = (self.text(a) for a in node.args)
            whole = f"({left} {SIGNS[node.op]} {right})"
            return self.cast(whole, node.type) if node.op in _ARITHMETIC and node.type.kind == "decimal" else whole
        method = getattr(self, f"_{node.op}", None)
        return self.names(node) if method is None else method(node)

    def cast(self, text: str, type_: Type) -> str:
        return f"CAST({text} AS {written(type_, self.engine)})"

    def string(self, text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    def true(self, node: Node | None) -> str:
        """A condition that is never NULL."""
        return "TRUE" if node is None else f"COALESCE({self.text(node)}, FALSE)"

    def _literal(self, node: Node) -> str:
        value = node.value
        if value is None:
            return self.cast("NULL", node.type)
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, date):
            return f"DATE '{value.isoformat()}'"
        if isinstance(value, str):
            return self.string(value)
        return self.cast(f"{Decimal(value):f}", node.type)

    def moment(self, value: datetime) -> str:
        """An instant as a literal; it is in UTC."""
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}'"

    def _not(self, node: Node) -> str:
        return f"(NOT {self.text(node.args[0])})"

    def _neg(self, node: Node) -> str:
        return f"(- {self.text(node.args[0])})"

    def _is_null(self, node: Node) -> str:
        return f"({self.text(node.args[0])} IS NULL)"

    def _case(self, node: Node) -> str:
        *pairs, other = map(self.text, node.args)
        branches = " ".join(f"WHEN {c} THEN {v}" for c, v in zip(pairs[::2], pairs[1::2], strict=True))
        return f"CASE {branches} ELSE {other} END"

    def _coalesce(self, node: Node) -> str:
        return f"COALESCE({', '.join(map(self.text, node.args))})"

    def _in(self, node: Node) -> str:
        value, *listed = map(self.text, node.args)
        return f"({value} IN ({', '.join(listed)}))"

    def _like(self, node: Node) -> str:
        return f"({self.text(node.args[0])} LIKE {self.string(node.value)})"

    def _upper(self, node: Node) -> str:
        return f"UPPER({self.text(node.args[0])})"

    def _lower(self, node: Node) -> str:
        return f"LOWER({self.text(node.args[0])})"

    def _trim(self, node: Node) -> str:
        return f"TRIM(BOTH ' ' FROM {self.text(node.args[0])})"

    def _concat(self, node: Node) -> str:
        return f"({' || '.join(map(self.text, node.args))})"

    def _substring(self, node: Node) -> str:
        start, length = node.value
        ends = "" if length is None else f", {length}"
        return f"SUBSTRING({self.text(node.args[0])}, {start}{ends})"

    def _cast(self, node: Node) -> str:
        return self.cast(self.text(node.args[0]), node.type)

    def _try_cast(self, node: Node) -> str:
        return f"TRY_CAST({self.text(node.args[0])} AS {written(node.type, self.engine)})"


def listed(parts: list[str]) -> str:
    """Columns of a SELECT, one in a line."""
    return ",\n  ".join(parts)
