"""Pulls of REST sources: all rows each time, or those that changed since the greatest value that was pulled.

A pull asks for every page before its first row goes onto the bus: pages are asked again where a service fails, rows
come in an order of the service's own, and a transaction must not wait for it. So one pull's rows must fit the memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from headrace.ingest import exact, paging
from headrace.ingest.boundary import unsent
from headrace.ingest.grows import grower
from headrace.ingest.json_files import line
from headrace.ingest.pulled import Line, State
from headrace.ingest.service import Service
from headrace.project import Addresses, Source, Table

Steps = Iterator[tuple[Iterator[Line], State]]


def steps(addresses: Addresses, source: Source, table: Table, state: State) -> Steps:
    """Steps of the rows that no pull has delivered.

    With `since`: rows at or above the last watermark, less those that were delivered with that very value, in order of
    their value; a row that comes late with a smaller value is not seen. Without: all rows in one step, or none when
    they are the same as last time. Raises HeadraceError at the table in the source's file when the service refuses.
    """
    incremental = bool(table.rest and table.rest.since_column)
    since = state.watermark if incremental else None
    with Service(addresses, source, table) as service:
        found = _found(service, table, None if since is None else str(since))
    yield from _changed(found, table, state) if incremental else _whole(found, table, state)


def probe(addresses: Addresses, source: Source) -> None:
    """Returns when the first table's first page is what its file says; raises HeadraceError when it isn't."""
    table = source.tables[0]
    with Service(addresses, source, table, tries=2) as service:
        next(paging.pages(service, table), None)


@dataclass(frozen=True)
class _Found:
    """A value of an answer as a line, with its digest; of a bad one, of its bytes."""

    line: Line
    digest: bytes


def _found(service: Service, table: Table, since: str | None) -> list[_Found]:
    fit = exact.fitter(table.contract)
    found = []
    for page, rows in enumerate(paging.pages(service, table, since), 1):
        for index, value in enumerate(rows, 1):
            place = f"row {index} of page {page} of {table.origin}"
            found.append(_digested(line(value, fit, len(found) + 1, place, table.origin), place))
    return found


def _digested(found: Line, place: str) -> _Found:
    try:
        data = found.row if isinstance(found.row, bytes) else orjson.dumps(found.row, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        data = exact.raw(found.row)
        found = Line(found.number, data, f"{place}: {error}", found.file)
    return _Found(found, hashlib.sha256(data).digest()[:16])


def _whole(found: list[_Found], table: Table, state: State) -> Steps:
    # A sum, since a service may give the same rows in another order. Known by name, as a file is.
    total = sum(int.from_bytes(f.digest, "big") for f in found) % 2**128
    known = {table.origin: f"{len(found)}:{total:032x}"}
    if found and state.files != known:
        yield iter([f.line for f in found]), state.next(files=known)


def _changed(found: list[_Found], table: Table, state: State) -> Steps:
    column = table.rest.since_column if table.rest else ""
    grows = grower(next(c for c in table.contract.columns if c.name == column))
    last = None if state.watermark is None else grows(state.watermark)
    rows: list[tuple[Any, Any, dict[str, Any]]] = []
    bad: dict[str, Line] = {}
    for one in found:
        row = one.line.row
        at = grows(row.get(column)) if isinstance(row, dict) else None
        if at is None:
            bad[one.digest.hex()] = one.line if isinstance(row, bytes) else _unplaced(one.line, column)
        elif last is None or at[0] >= last[0]:  # a service that is asked for an hour may give the day
            rows.append((*at, row))
    # Those of the last pull are given again, as its last rows are: what was rejected once is not rejected anew.
    if bad.keys() - state.files.keys():
        state, known = state.next(files=dict.fromkeys(bad, "bad")), state.files
        yield iter([one for digest, one in bad.items() if digest not in known]), state
    rows.sort(key=lambda r: r[0])
    yield from unsent(((value, row) for _, value, row in rows), table, state)


def _unplaced(found: Line, column: str) -> Line:
    row: dict[str, Any] = found.row  # type: ignore[assignment]
    said = "is missing" if row.get(column) is None else f"is {row[column]!r}"
    reason = f"row {found.number} of {found.file}: {column} {said}, so it has no place in the order of changes"
    return Line(found.number, exact.raw(row), reason, found.file)
