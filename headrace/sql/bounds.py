"""What a CHECK of a database says of the values of one column, as far as it is plain: a range, or a list of values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Number = int | float


@dataclass(frozen=True)
class Bounds:
    """The values that a column may have: one of `values`, or from `minimum` to `maximum`. Empty: nothing is known."""

    values: tuple[str, ...] = ()
    minimum: Number | None = None
    maximum: Number | None = None

    def __bool__(self) -> bool:
        return bool(self.values) or self.minimum is not None or self.maximum is not None

    def narrowed(self, other: Bounds) -> Bounds:
        """What holds when both do."""
        values = tuple(v for v in self.values if not other.values or v in other.values) or other.values
        return Bounds(values, _both(max, self.minimum, other.minimum), _both(min, self.maximum, other.maximum))


def bounds(checks: Iterable[str], dialect: str) -> dict[str, Bounds]:
    """Column → what the CHECKs of its table together say of it. `dialect` is sqlglot's: postgres, mysql.

    Only what surely follows: a comparison with a number, BETWEEN, a list of texts, and such joined by AND. `> 0` is
    taken as from 0 on, since a contract's bounds are inclusive. Everything else is passed over. Never raises.
    """
    found: dict[str, Bounds] = {}
    for check in checks:
        try:
            tree = sqlglot.parse_one(check, read=dialect)
        except (SqlglotError, RecursionError):
            continue
        for column, one in _read(tree):
            found[column] = found.get(column, Bounds()).narrowed(one)
    return {column: one for column, one in found.items() if one}


def _read(tree: Any) -> list[tuple[str, Bounds]]:
    tree = _bare(tree)
    if isinstance(tree, exp.And):
        return [*_read(tree.left), *_read(tree.right)]
    if isinstance(tree, exp.Between):
        ends = Bounds((), _number(tree.args["low"]), _number(tree.args["high"]))
        return _of(tree.this, ends)
    if isinstance(tree, exp.In):
        return _of(tree.this, Bounds(_texts(tree.expressions)))
    if isinstance(tree, exp.EQ) and isinstance(tree.right, exp.Any):
        array = _bare(tree.right.this)
        return _of(tree.left, Bounds(_texts(array.expressions))) if isinstance(array, exp.Array) else []
    if isinstance(tree, exp.GT | exp.GTE):
        return _compared(tree.left, tree.right)
    if isinstance(tree, exp.LT | exp.LTE):
        return _compared(tree.right, tree.left)
    return []


def _compared(greater: Any, less: Any) -> list[tuple[str, Bounds]]:
    low, high = _number(less), _number(greater)
    return _of(greater, Bounds((), low)) if low is not None else _of(less, Bounds((), None, high))


def _of(side: Any, found: Bounds) -> list[tuple[str, Bounds]]:
    column = _bare(side)
    return [(column.name, found)] if isinstance(column, exp.Column) and found else []


def _bare(tree: Any) -> Any:
    while isinstance(tree, exp.Paren | exp.Cast):
        tree = tree.this
    return tree


def _number(tree: Any) -> Number | None:
    bare = _bare(tree)
    if isinstance(bare, exp.Neg):
        inner = _number(bare.this)
        return None if inner is None else -inner
    if not isinstance(bare, exp.Literal) or bare.is_string:
        return None
    number = Decimal(bare.name)
    return int(number) if number == number.to_integral_value() else float(number)


def _texts(items: list[Any]) -> tuple[str, ...]:
    bare = [_bare(i) for i in items]
    texts = [b.name for b in bare if isinstance(b, exp.Literal) and b.is_string]
    return tuple(dict.fromkeys(texts)) if len(texts) == len(items) else ()


def _both(choose: Any, one: Number | None, other: Number | None) -> Number | None:
    given = [n for n in (one, other) if n is not None]
    return choose(given) if given else None
