"""Headers of a message on the bus, as landing needs them: parsed once per distinct set."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from headrace.lake.rows import FIRST, ORIGIN

MARKER = "headrace-marker"
QUIET = "quiet-"  # starts the id of markers that nobody waits for
EPOCH = "headrace-epoch"
LANDED = "headrace-landed"  # of a replayed change: its original was landed, without the image that broke the contract
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
    first: int | None = None  # of a replayed message: where it was on its partition when it was sent first
    landed: bool = False


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
    epoch, first = values.get(EPOCH) or "0", values.get(FIRST) or ""
    return Headers(
        text=orjson.dumps(values).decode(),
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() else 0,
        marker=values.get(MARKER),
        correlation=values.get(CORRELATION),
        causation=values.get(CAUSATION),
        error=values.get(ERROR),
        first=int(first) if ORIGIN in values and first.isascii() and first.isdigit() else None,
        landed=ORIGIN in values and LANDED in values,
    )
