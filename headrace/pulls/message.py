"""A pulled line as the message that carries it; also one that no message could carry as it is."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import orjson

from headrace.ingest import bus, headers
from headrace.project import Source, Table
from headrace.pulls import exact
from headrace.pulls.pulled import Line

LONGEST = bus.MAX_MESSAGE - (1 << 16)  # bytes of a row; what the producer adds to it must fit the topic too
SHOWN = 1 << 16  # bytes that quarantine gets of a longer one
_REASON = 2000  # bytes of a reason; one may quote a value


class Message(NamedTuple):
    """What is given to the producer."""

    key: bytes | None
    value: bytes
    headers: Any  # list[tuple[str, bytes]]; the client's type asks for more than it takes


def message(table: Table, source: Source, line: Line, pull: int) -> Message:
    """The message of a row: op 'u' without before-image, its position from the number of the pull and of the row.

    Of a row that is gone, op 'd': the message's key names it.

    What could not be read travels as its bytes, and landing quarantines it with the reason that the header says. So
    does a row that JSON can't express, and the beginning of one that is larger than the bus takes: either would
    otherwise end this pull, and every later one.
    """
    now = int(time.time() * 1000)
    place = f"row {line.number} of {line.file or table.origin}"
    if isinstance(line.row, bytes):
        return _unread(line.row, line.error, place)
    at = {"connector": source.kind, "name": source.name, "table": table.name, "ts_ms": line.ts_ms or now}
    block = at | {"pull": pull, "row": line.number, "file": line.file, "snapshot": "false"}
    op, after = ("d", None) if line.gone else ("u", line.row)
    change: dict[str, Any] = {"op": op, "before": None, "after": after, "source": block, "ts_ms": now}
    try:
        value = orjson.dumps(change)
        key = orjson.dumps({name: line.row.get(name) for name in table.contract.key})
    except orjson.JSONEncodeError as error:  # half of a character, say
        return _unread(exact.raw(line.row), f"{place}: {error}", place)
    if len(key) + len(value) > LONGEST:
        made = _unread(value, "", place, len(key) + len(value))
        return made._replace(key=key if len(key) <= SHOWN else None)  # so that audits know whose row it is
    return Message(key, value, [])


def _unread(value: bytes, error: str, place: str, size: int = 0) -> Message:
    size = max(size, len(value))
    if size > LONGEST:
        error = f"oversize: {place} has {size} bytes, here are the first {SHOWN}"
        value = value[:SHOWN]
    reason = error.encode("utf-8", "backslashreplace")[:_REASON].decode("utf-8", "ignore").encode()
    return Message(None, value, [(headers.ERROR, reason)])
