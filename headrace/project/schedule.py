"""When a job or a pull is due: a cron expression, a preset of Airflow, or 'on new data'."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headrace.errors import Place, Problem, did_you_mean

ON_NEW_DATA = "on new data"
_DAY = 86400.0
PRESETS = {
    "@hourly": 3600.0, "@daily": _DAY, "@weekly": 7 * _DAY, "@monthly": 31 * _DAY, "@quarterly": 92 * _DAY,
    "@yearly": 366 * _DAY,
}  # fmt: skip
# Of a cron expression that says anything in a field: the longest pause that this field makes, coarsest first.
_PAUSES = ((3, 366 * _DAY), (2, 31 * _DAY), (4, 7 * _DAY), (1, _DAY))
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
# name, smallest, largest, words that stand for numbers counted from the smallest
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_EXAMPLE = "such as @hourly, @daily, or a cron expression: 30 6 * * 1-5 (minute hour day month weekday)"


def problem(text: str, place: Place, events: bool = True) -> Problem | None:
    """What is wrong with a schedule, or None. `events`: whether 'on new data' is allowed here."""
    hint = (f"{ON_NEW_DATA}, or " if events else "") + _EXAMPLE
    if events and text.lower() == ON_NEW_DATA:
        return None
    if text.startswith("@"):
        allowed = [*PRESETS, *([ON_NEW_DATA] if events else [])]
        return None if text in PRESETS else Problem(f"no such schedule {text!r}", place, did_you_mean(text, allowed))
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return Problem(f"{text!r} is not a schedule", place, hint)
    for part, field in zip(parts, _FIELDS, strict=True):
        for item in part.lower().split(","):
            wrong = _item(item, *field)
            if wrong:
                return Problem(f"{text!r} is not a schedule: {wrong}", place, hint)
    return None


def pause(text: str) -> float:
    """Seconds between two runs at most: 'on new data' within an hour, others as their schedule says."""
    if text == ON_NEW_DATA:
        return 3600.0
    if text in PRESETS:
        return PRESETS[text]
    fields = text.split()
    return next((seconds for number, seconds in _PAUSES if fields[number] not in {"*", "?"}), 3600.0)


def _item(item: str, name: str, low: int, high: int, words: Sequence[str]) -> str:
    span, slash, step = item.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return f"{step!r} is no step of the {name}"
    if span in {"*", "?"} or (
        name.startswith("day") and re.fullmatch(r"l|l[0-7]|\d{1,2}w|[0-7]#[1-5]|\w{3}#[1-5]", span)
    ):
        return ""
    ends = [_number(end, low, words) for end in span.split("-")]
    if len(ends) > 2 or any(end is None for end in ends):
        return f"{item!r} is no {name}"
    if any(end is not None and not low <= end <= high for end in ends):
        return f"{item!r} is no {name} ({low} to {high})"
    return ""


def _number(text: str, low: int, words: Sequence[str]) -> int | None:
    if text in words:
        return words.index(text) + low
    return int(text) if text.isdecimal() else None
