"""Values of the column that grows with every change: what order they have, and how a service is asked for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from headrace.ingest.exact import plain_decimal
from headrace.project import Column
from headrace.sql.validity import DATE, TIMESTAMP

_IS_DATE = re.compile(DATE, re.ASCII).fullmatch
_IS_MOMENT = re.compile(TIMESTAMP, re.ASCII).fullmatch

Grows = Callable[[Any], "tuple[Any, Any] | None"]


def grower(column: Column) -> Grows:
    """The function from a column's value to (what it is ordered by, the one way to write it); None when it has none.

    Two writings of one value (10:00:00Z and 10:00:00.000Z) come out the same, so that rows which share it are known.
    """
    return {"timestamp": _moment, "date": _date, "string": _text}.get(column.logical, _number)


def _moment(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str) or not _IS_MOMENT(value):
        return None
    seconds, fraction = value[:19], value[19:-1].lstrip(".").rstrip("0")
    return f"{seconds}.{fraction:0<9}", f"{seconds}{'.' if fraction else ''}{fraction}Z"


def _date(value: Any) -> tuple[str, str] | None:
    return (value[:10], value[:10]) if isinstance(value, str) and _IS_DATE(value) else None


def _text(value: Any) -> tuple[str, str] | None:
    return (value, value) if isinstance(value, str) else None


def _number(value: Any) -> tuple[Decimal, int | str] | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    return number, value if isinstance(value, int) else plain_decimal(number.normalize())
