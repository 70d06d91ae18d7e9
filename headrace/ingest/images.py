"""Images as Debezium sends them, made whole.

PostgreSQL's log leaves out a large value (TOAST) that an update did not change, unless the table's replica identity is
FULL; Debezium then sends a placeholder. Landed, it would overwrite the value.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from headrace.sql.validity import Invalid

UNAVAILABLE = "__debezium_unavailable_value"  # its default
_BYTES = b64encode(UNAVAILABLE.encode()).decode()
_MARKS = (UNAVAILABLE.encode(), _BYTES.encode())


def incomplete(message: bytes) -> bool:
    """Whether a message may hold the placeholder; quick, and true for a text that only mentions it."""
    return _MARKS[0] in message or _MARKS[1] in message


def complete(image: dict[str, Any], before: object, needed: Iterable[str]) -> None:
    """Gives each placeholder of an image the value of the row before, which is the same.

    Where the row before does not say it either, a column that is not `needed` is left out, and for one that is Invalid
    is raised: then nobody knows the row.
    """
    known = before if type(before) is dict else {}
    for name in [name for name, value in image.items() if _unknown(value)]:
        old = known.get(name)
        if old is not None and not _unknown(old):
            image[name] = old
        elif name in needed:
            raise Invalid(
                name, "not changed, and the log does not say what it is: set REPLICA IDENTITY FULL on the table"
            )
        else:
            del image[name]


def _unknown(value: object) -> bool:
    if type(value) is list:
        return bool(value) and all(map(_unknown, value))
    return value in (UNAVAILABLE, _BYTES) if type(value) is str else False
