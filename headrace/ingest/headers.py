"""Headers of a message on the bus, as landing needs them: parsed once per distinct set."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

MARKER = "headrace-marker"
QUIET = "quiet-"  # starts the id of markers that nobody waits for
EPOCH = "headrace-epoch"
ORIGIN = "headrace-origin"
ERROR = "headrace-error"  # set by a pull on a line that it could not read
CORRELATION = "correlation-id"
CAUSATION = "causation-id"


class Headers(NamedTuple):
    """What landing keeps of a message's headers; `text` is all of them as a JSON object."""

    text: str | None = None
    epoch: int = 0
    marker: str | None = None
    correlation: str | None = None
    causation: str | None = None
    error: str | None = None


NONE = Headers()
_cache: dict[tuple[Any, ...], Headers] = {}


def parse(raw: list[tuple[str, bytes | None]] | None) -> Headers:
    """The headers of one message. Connectors repeat theirs, so results are kept by content."""
    if not raw:
        return NONE
    key = tuple(raw)
    found = _cache.get(key)
    if found is None:
        if len(_cache) > 4096:
            _cache.clear()
        found = _cache[key] = _parse(raw)
    return found


def _parse(raw: list[tuple[str, bytes | None]]) -> Headers:
    values = {name: None if value is None else value.decode("utf-8", "replace") for name, value in raw}
    epoch = values.get(EPOCH) or "0"
    return Headers(
        text=orjson.dumps(values).decode(),
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() else 0,
        marker=values.get(MARKER),
        correlation=values.get(CORRELATION),
        causation=values.get(CAUSATION),
        error=values.get(ERROR),
    )
