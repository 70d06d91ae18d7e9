"""Rows at the last watermark: read again by every pull, since more of them may have come, and not sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from headrace.project import Table
from headrace.pulls.pulled import Line, State

ROWS = 20_000  # of one step
_LONGEST = 200  # characters of a key that is remembered as it is: thousands of them go into one record on the bus


def unsent(
    rows: Iterable[tuple[Any, dict[str, Any]]], table: Table, state: State
) -> Iterator[tuple[Iterator[Line], State]]:
    """Steps of the rows that no pull has delivered; `rows` come with their watermark, in its order, from the last on.

    Guarantee: of the rows with one watermark each is delivered once for each content it had, though those of the last
    one are given again (their keys and digests are remembered).
    """
    lines: list[Line] = []
    watermark, boundary = state.watermark, dict(state.boundary)
    for value, row in rows:
        key = _key([row.get(name) for name in table.contract.key])
        digest = hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        if value != watermark:
            watermark, boundary = value, {}
        elif boundary.get(key) == digest:
            continue
        boundary[key] = digest
        lines.append(Line(len(lines) + 1, row))
        if len(lines) >= ROWS:
            state = state.next(watermark=watermark, boundary=dict(boundary))
            yield iter(lines), state
            lines = []
    if lines:
        yield iter(lines), state.next(watermark=watermark, boundary=boundary)


def _key(values: list[Any]) -> str:
    data = orjson.dumps(values)
    return data.decode() if len(data) <= _LONGEST else hashlib.sha256(data).hexdigest()
