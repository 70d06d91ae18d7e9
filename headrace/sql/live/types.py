"""Types of a live view's expressions, and the types of results, so that nothing overflows or rounds in any engine.

Arithmetic is exact by construction: the type of a result has room for every result, or the expression is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST = 38  # digits of a decimal, in Spark and in Flink
SUM_DIGITS = 10  # a sum has so many digits more than its values: room for ten thousand million changes of the largest
WHOLE = 18  # digits that a 64-bit integer has room for, whatever they are
NUMERIC = {"integer", "decimal"}


@dataclass(frozen=True)
class Type:
    """What an expression gives. `digits` counts all digits of an integer or decimal, `scale` those behind the point."""

    kind: (
        str  # 'integer', 'decimal', 'double', 'text', 'boolean', 'date', 'timestamp', 'json', or 'null' for NULL alone
    )
    digits: int = 0
    scale: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether it is a number that sums keep exactly."""
        return self.kind in NUMERIC

    def __str__(self) -> str:
        return f"decimal({self.digits},{self.scale})" if self.kind == "decimal" else self.kind


TEXT, BOOLEAN, DATE, TIMESTAMP = Type("text"), Type("boolean"), Type("date"), Type("timestamp")
DOUBLE, JSON, NULL = Type("double"), Type("json"), Type("null")
BIGINT, COUNT = Type("integer", 19), Type("integer", WHOLE)

_ENGINES = {
    "spark": {"integer": "BIGINT", "double": "DOUBLE", "text": "STRING", "timestamp": "TIMESTAMP", "null": "BOOLEAN"},
    "flink": {
        "integer": "BIGINT",
        "double": "DOUBLE",
        "text": "STRING",
        "timestamp": "TIMESTAMP_LTZ(6)",
        "null": "BOOLEAN",
    },
    "postgres": {
        "integer": "bigint",
        "double": "double precision",
        "text": "text",
        "timestamp": "timestamptz",
        "null": "boolean",
    },
}
_CONTRACT = {
    "string": TEXT,
    "integer": BIGINT,
    "number": DOUBLE,
    "boolean": BOOLEAN,
    "date": DATE,
    "timestamp": TIMESTAMP,
}


def of_contract(logical: str, precision: int, scale: int) -> Type:
    """The type of a contract's column; objects and arrays are 'json'."""
    return Type("decimal", precision, scale) if logical == "number" and precision else _CONTRACT.get(logical, JSON)


def written(type_: Type, engine: str) -> str:
    """The type in the SQL of 'spark', 'flink' or 'postgres'."""
    if type_.kind == "decimal":
        return f"{'numeric' if engine == 'postgres' else 'DECIMAL'}({type_.digits},{type_.scale})"
    other = type_.kind if engine == "postgres" else type_.kind.upper()
    return _ENGINES[engine].get(type_.kind, other)


def number(digits: int, scale: int = 0) -> Type | None:
    """An exact number of so many digits; None when no engine has room for it."""
    if scale == 0 and digits <= WHOLE:
        return Type("integer", digits)
    return Type("decimal", digits, scale) if digits <= MOST else None


def added(one: Type, other: Type) -> Type | None:
    """The type of a sum or difference of two exact numbers; None when it could need more digits than there are."""
    scale = max(one.scale, other.scale)
    return number(max(one.digits - one.scale, other.digits - other.scale) + scale + 1, scale)


def multiplied(one: Type, other: Type) -> Type | None:
    """The type of a product. Spark counts one digit more, and gives up digits of the fraction where that is much."""
    digits, scale = one.digits + other.digits, one.scale + other.scale
    return None if scale and digits + 1 > MOST else number(digits, scale)


def summed(type_: Type) -> Type | None:
    """The type of SUM over values of a type; None when they have more than 28 digits."""
    return number(type_.digits + SUM_DIGITS, type_.scale)


def averaged(type_: Type) -> Type:
    """The type of AVG, as Spark has it: four digits more of fraction for decimals, DOUBLE for integers."""
    return Type("decimal", type_.digits + 4, type_.scale + 4) if type_.kind == "decimal" else DOUBLE


def common(one: Type, other: Type) -> Type | None:
    """The type that takes values of both unchanged; None when there is none."""
    if one == other or other.kind == "null":
        return one
    if one.kind == "null":
        return other
    if one.is_exact and other.is_exact:
        scale = max(one.scale, other.scale)
        digits = max(one.digits - one.scale, other.digits - other.scale) + scale
        if one.kind == other.kind == "integer":
            return Type("integer", digits)
        return Type("decimal", digits, scale) if digits <= MOST else None
    return None


def fits(type_: Type, into: Type) -> bool:
    """Whether every number of a type is one of another, to the last digit."""
    return type_.scale <= into.scale and type_.digits - type_.scale <= into.digits - into.scale
