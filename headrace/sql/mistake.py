"""A mistake in a query before it is known which file the query stands in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """What is wrong at a line and column of the query (counted from 1), and what was probably meant."""

    message: str
    line: int
    column: int
    hint: str = ""
