"""Values of a graph as the bus carries them, each row with the ends of its relationship."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neo4j import Record
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

from headrace.project import Contract
from headrace.project.neo4j import Pattern
from headrace.pulls import exact
from headrace.pulls.values import plain


def reader(pattern: Pattern, contract: Contract) -> Callable[[Record], dict[str, Any]]:
    """The function that makes a row of a record of neo4j_query.py.

    Moments are UTC to the nanosecond, those without a zone are taken to be UTC. Dates, times and durations are ISO
    8601; a point is {"srid", "x", "y"} and perhaps "z"; a float in a column of decimals has the digits that it is
    written with. It raises ValueError with the reason for a record that no row can be made of.
    """
    fit = exact.fitter(contract)
    decimals = {c.name for c in contract.columns if c.is_decimal}

    def read(record: Record) -> dict[str, Any]:
        found = {name: value(inner, name) for name, inner in record["properties"].items()}
        for end, values in ((pattern.start, record["start"]), (pattern.end, record["end"])):
            for (column, _), inner in zip(end, values, strict=True):
                if column in found:
                    raise ValueError(f"{column}: the relationship has a property of that name itself")
                found[column] = value(inner, column)
        for name in decimals & found.keys():
            inner = found[name]
            if isinstance(inner, float) and math.isfinite(inner):
                found[name] = exact.Digits(repr(inner))
        return fit(plain(found))

    return read


def value(found: Any, name: str = "") -> Any:
    """One value of the driver's in Python's own types; raises ValueError when it can't be read."""
    if isinstance(found, DateTime):
        return _moment(found, name)
    if isinstance(found, Date | Time | Duration):
        return found.iso_format()
    if isinstance(found, Point):
        return {"srid": found.srid} | dict(zip("xyz", found, strict=False))
    if isinstance(found, list):
        return [value(inner, name) for inner in found]
    if isinstance(found, bytearray):
        return bytes(found)
    if isinstance(found, str | int | float | bytes | None):
        return found
    # The driver puts an object of its own where Python has no such value: a moment of the year 12000.
    raise ValueError(f"{name}: {getattr(found, 'error', found)}")


def shown(found: Any) -> Any:
    """A value for people, also one that can't be read; the same whenever it is asked for."""
    try:
        return value(found)
    except ValueError:
        raw = getattr(found, "raw_data", found)
        return str(getattr(raw, "fields", raw))


def _moment(found: DateTime, name: str) -> str:
    try:
        text = exact.utc(found.to_native())
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{name}: {found.iso_format()} is no moment in UTC: {error}") from None
    nanos = found.nanosecond % 1000  # Python's own type ends with microseconds
    return f"{text[:-1]}{nanos:03d}Z" if nanos else text
