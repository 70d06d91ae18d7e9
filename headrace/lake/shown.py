"""Quarantined rows as text: whatever their bytes are, they can be printed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headrace.lake.letters import Letter

LONGEST = 80  # characters of a value in a table
_BYTES = 4 * LONGEST  # of a value are enough to fill them, so that 10 MB are not decoded for 80 characters


def full(letter: Letter) -> dict[str, Any]:
    """Everything about a row. Bytes that are no UTF-8 stand as \\xff."""
    return {
        "source": letter.source,
        "table": letter.table,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "time": letter.quarantined_at.isoformat(),
        "state": letter.state,
        "reason": letter.reason,
        "column": letter.column,
        "key": text(letter.raw_key),
        "value": text(letter.raw),
        "headers": letter.headers,
    }


def brief(letter: Letter) -> dict[str, Any]:
    """A row on one line: its value is cut, and characters that would move a terminal's cursor are escaped."""
    return {
        "position": f"{letter.topic}/{letter.partition}/{letter.offset}",
        "time": _time(letter.quarantined_at),
        "state": letter.state,
        "reason": _line(letter.reason or ""),
        "column": letter.column,
        "key": short(letter.raw_key),
        "value": short(letter.raw),
    }


def count(group: dict[str, Any]) -> dict[str, Any]:
    """A group of rows on one line of a table."""
    times = {name: _time(group[name]) for name in ("first", "last")}
    return group | times | {"reason": _line(group["reason"] or "")}


def text(raw: bytes | None) -> str | None:
    """Bytes as text; never fails."""
    return None if raw is None else raw.decode("utf-8", "backslashreplace")


def short(raw: bytes | None) -> str | None:
    """The beginning of the text on one line, with … where something is left out."""
    if raw is None:
        return None
    line = _line(text(raw[:_BYTES]) or "")
    return line if len(line) <= LONGEST and len(raw) <= _BYTES else line[:LONGEST] + "…"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _line(value: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
