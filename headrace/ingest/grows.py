"""The column that grows with every change: what order its values have, and how a service is asked for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from headrace.project import Column
from headrace.sql.validity import Invalid, compile_check

_AHEAD = timedelta(days=1)  # no clock of a service is further ahead of ours
_LONGEST = 200  # characters of a text that a service is asked for


class Growing:
    """Values of one column as (what they are ordered by, the one way to write them).

    Two writings of one value (10:00:00Z and 10:00:00.000Z) come out the same, so that rows which share it are known.
    """

    def __init__(self, column: Column, now: datetime | None = None) -> None:
        self._name = column.name
        self._check = compile_check([column])
        self._order: Callable[[str], tuple[Any, str]] = {
            "timestamp": _moment,
            "date": _date,
            "string": _text,
        }.get(column.logical, _number)
        timed = column.logical in {"timestamp", "date"}
        self._end = ((now or datetime.now(UTC)) + _AHEAD).strftime("%Y-%m-%dT%H:%M:%S") if timed else ""

    def of(self, row: dict[str, Any]) -> tuple[Any, str]:
        """The place of a row. Raises ValueError with the reason when it has none.

        Neither has a moment that is yet to come: as the greatest value that was pulled, it would hide every change
        until then.
        """
        value = row.get(self._name)
        if value is None:
            raise ValueError(f"{self._name} is missing")
        try:
            self._check(row)
        except Invalid as error:
            raise ValueError(f"{self._name}: {error.reason}") from None
        if len(str(value)) > _LONGEST:
            raise ValueError(f"{self._name} is a text of {len(value)} characters")
        if self._end and str(value).rstrip("Z") > self._end:
            raise ValueError(f"{self._name} is {value}, which is yet to come")
        return self._order(str(value))

    def again(self, text: object) -> Any:
        """What a value as `of` wrote it is ordered by; None when the column's type is another one by now."""
        try:
            return None if text is None else self._order(str(text))[0]
        except (InvalidOperation, ValueError):
            return None


def _moment(text: str) -> tuple[str, str]:
    datetime.fromisoformat(text)
    seconds, fraction = text[:19], text[19:-1].lstrip(".").rstrip("0")
    return f"{seconds}.{fraction:0<9}", f"{seconds}{'.' if fraction else ''}{fraction}Z"


def _date(text: str) -> tuple[str, str]:
    datetime.fromisoformat(text[:10])
    return text[:10], text[:10]


def _text(text: str) -> tuple[str, str]:
    return text, text


def _number(text: str) -> tuple[Decimal, str]:
    number = Decimal(text)
    written = f"{number:f}"  # not normalize(): that would round to 28 digits
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return number, "0" if written in {"-0", ""} else written
