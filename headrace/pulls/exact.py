"""JSON from outside, without a double in between: 0.10 stays 0.10, and a number of forty digits keeps them all.

The usual parsers make a double of every number with a point. Here such a number stays its own text until the contract
says what it is: an exact decimal travels as a string, everything else as a number where no digit is lost by it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from headrace.project import Column, Contract
from headrace.sql.validity import LARGEST, SMALLEST, TIMESTAMP

_READY = re.compile(TIMESTAMP, re.ASCII).fullmatch
_INT_DIGITS = 19  # every integer of 64 bits has at most these
_TOO_DEEP = "nested too deep"
_PLAIN_DIGITS = 400  # an exponent that would write more than these is left as it came: 1e999999999 fills the memory


class Digits(str):
    """A JSON number as its text: one with a point or an exponent, or an integer that 64 bits don't hold."""


def parse(text: str) -> Any:
    """A JSON document; numbers that a double or 64 bits could change are Digits. Raises ValueError saying where."""
    try:
        return _parser.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def fitter(contract: Contract) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The function that turns a parsed object into a row as the bus carries it.

    Decimals become strings with all their digits, moments with an offset become UTC. What does not fit its column
    stays, so that landing says what is wrong with it. Raises ValueError at a number that no column could hold.
    """
    columns = {c.name: c for c in contract.columns}

    def fit(found: dict[str, Any]) -> dict[str, Any]:
        try:
            return {name: _value(value, columns.get(name), name) for name, value in found.items()}
        except RecursionError:
            raise ValueError(_TOO_DEEP) from None

    return fit


def utc(moment: datetime) -> str:
    """A moment as every source writes it; without a zone it is taken to be UTC. Nanoseconds are kept."""
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    nanos = getattr(moment, "nanosecond", 0)  # pandas has them
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{text}{f'{nanos:03d}' if nanos else ''}Z"


def raw(value: Any) -> bytes:
    """What was parsed as JSON text again, for quarantine; bytes that were no UTF-8 are what they were."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return json.dumps(value, default=str).encode()
    except RecursionError:
        return f"({_TOO_DEEP})".encode()


def _value(value: Any, column: Column | None, name: str) -> Any:
    kind = column.logical if column else ""
    if isinstance(value, Digits):
        return plain_decimal(value) if column and column.is_decimal else _number(value, kind, name)
    if kind == "timestamp" and isinstance(value, str) and not _READY(value):
        return _moment(value)
    return _inside(value, name) if isinstance(value, dict | list) else value


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _inside(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_inside(inner, name) for inner in value]
    return _number(value, "", name) if isinstance(value, Digits) else value


def _number(digits: Digits, kind: str, name: str) -> float | str:
    double = float(digits)
    if not math.isfinite(double):
        raise ValueError(f"{name}: the number {digits[:40]} is too large")
    # A column of doubles asks for one, another type is told what it got; where no type is declared, digits count.
    return double if kind not in ("", "object", "array") or Decimal(repr(double)) == Decimal(digits) else str(digits)


def plain_decimal(digits: str | Decimal) -> str:
    """An exact number without an exponent: 1.50E+3 is 1500."""
    number = Decimal(digits)
    exponent = number.as_tuple().exponent
    long = not isinstance(exponent, int) or abs(exponent) > _PLAIN_DIGITS
    return str(digits) if long else f"{number:f}"


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        # Without an offset nobody knows which moment is meant: landing refuses it and says so.
        return utc(moment) if moment.tzinfo else text
    except (ValueError, OverflowError):
        return text


def _integer(digits: str) -> int | Digits:
    if len(digits.lstrip("-")) > _INT_DIGITS:  # Python itself refuses to read thousands of digits
        return Digits(digits)
    number = int(digits)
    return number if SMALLEST <= number <= LARGEST else Digits(digits)


def _constant(name: str) -> None:
    raise ValueError(f"not JSON: {name}")


_parser = json.JSONDecoder(parse_float=Digits, parse_int=_integer, parse_constant=_constant)
