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
    """The order of one column's values. Two writings of one (10:00:00Z and 10:00:00.000Z) have the same place in it."""

    def __init__(self, column: Column, now: datetime | None = None) -> None:
        self._name = column.name
        self._check = compile_check([column])
        orders: dict[str, Callable[[str], Any]] = {"timestamp": _moment, "date": _date, "string": str}
        self._order = orders.get(column.logical, Decimal)
        timed = column.logical in {"timestamp", "date"}
        self._end = ((now or datetime.now(UTC)) + _AHEAD).strftime("%Y-%m-%dT%H:%M:%S") if timed else ""

    def of(self, row: dict[str, Any]) -> tuple[Any, str]:
        """The place of a row, and the text by which its service is asked for it: its own, as some compare texts.

        Raises ValueError with the reason when it has none. A moment that is yet to come has none: as the greatest value
        that was pulled, it would hide every change until then.
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
        return self._order(str(value)), str(value)

    def again(self, text: object) -> Any:
        """The place of a text that `of` gave; None when the column's type is another one by now."""
        try:
            return None if text is None else self._order(str(text))
        except (InvalidOperation, ValueError):
            return None


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return f"{text[:19]}.{text[19:-1].lstrip('.'):0<9}"


def _date(text: str) -> str:
    datetime.fromisoformat(text[:10])
    return text[:10]
