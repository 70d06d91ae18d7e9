"""What an audit can say, and how it is said to a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from headrace.errors import HeadraceError, Problem

PROVEN, UNEQUAL, UNPROVEN = "proven", "unequal", "unproven"  # never proven when there was nothing to compare with
MOST = 10  # keys that a message lists


class Result(Protocol):
    """A certificate of a table or of a view."""

    note: str

    @property
    def name(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    def differences(self) -> dict[str, list[str]]: ...


def problem(results: Iterable[Result]) -> HeadraceError | None:
    """What a person has to know about whatever is not proven; None when all is."""
    said = []
    for one in results:
        said += [f"{one.name} is unproven: {one.note}"] if one.verdict == UNPROVEN else []
        said += [f"{one.name}: {len(keys)} {what}: {_few(keys)}" for what, keys in one.differences().items()]
    if not said:
        return None
    return HeadraceError(*said[:-1], Problem(said[-1], hint="ops.certificates has everything that differs"))


def _few(keys: list[str]) -> str:
    return "; ".join(keys[:MOST]) + (f" … and {len(keys) - MOST} more" if len(keys) > MOST else "")
