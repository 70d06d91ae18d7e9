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

from headrace.errors import HeadraceError
from headrace.project import Addresses, Source, Table
from headrace.pulls import exact, paging
from headrace.pulls.boundary import ROWS, unsent
from headrace.pulls.grows import Growing
from headrace.pulls.json_files import line
from headrace.pulls.pulled import Line, State
from headrace.pulls.service import Service

Steps = Iterator[tuple[Iterator[Line], State]]


def steps(addresses: Addresses, source: Source, table: Table, state: State) -> Steps:
    """Steps of the rows that no pull has delivered.

    With `since`: rows at or above the last watermark, less those that were delivered with that very value, in order of
    their value; a row that comes late with a smaller value is not seen, and one without a usable value goes to
    quarantine. Without: all rows in one step, or none when they are the same as last time.

    Raises HeadraceError at the table in the source's file when the service refuses, or fails for as long as it is
    asked (service.py); nothing of the walk is delivered then.
    """
    rest = table.rest
    column = next((c for c in table.contract.columns if rest and c.name == rest.since_column), None)
    if column is None:
        with Service(addresses, source, table) as service:
            found = _found(service, table, None)
        yield from _whole(found, table, state)
    else:
        growing = Growing(column)
        last = growing.again(state.watermark)
        with Service(addresses, source, table) as service:
            found = _found(service, table, None if last is None else str(state.watermark))
        yield from _changed(found, table, state, growing, last)


def probe(addresses: Addresses, source: Source) -> None:
    """Returns when every table's first page is what its file says; raises HeadraceError at the first that isn't."""
    for table in source.tables:
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


def _changed(found: list[_Found], table: Table, state: State, growing: Growing, last: Any) -> Steps:
    rows: list[tuple[Any, dict[str, Any]]] = []
    texts = {} if last is None else {last: str(state.watermark)}  # of several writings of a value one
    bad: dict[str, Line] = {}
    for one in found:
        row = one.line.row
        if isinstance(row, bytes):
            bad[one.digest.hex()] = one.line
            continue
        try:
            order, text = growing.of(row)
        except ValueError as error:
            bad[one.digest.hex()] = _unplaced(one.line, row, f"{error}: it has no place in the order of changes")
            continue
        if last is None or order >= last:  # a service that is asked for an hour may give the day
            rows.append((order, row))
            texts.setdefault(order, text)
    if len(bad) > ROWS:  # more than the pull's state can remember, and a mistake in the file rather than in the data
        first = next(iter(bad.values())).error
        message = f"{len(bad):,} rows can't be placed in the order of changes, the first: {first}"
        hint = "since: {column: …} must name a property that every row has and every change makes greater"
        raise HeadraceError(message, place=table.place, hint=hint)
    # Those of the last pull are given again, as its last rows are: what was rejected once is not rejected anew.
    if bad.keys() - state.files.keys():
        state, known = state.next(files=dict.fromkeys(bad, "bad")), state.files
        yield iter([one for digest, one in bad.items() if digest not in known]), state
    rows.sort(key=lambda r: r[0])
    yield from unsent(((texts[order], row) for order, row in rows), table, state)


def _unplaced(found: Line, row: dict[str, Any], reason: str) -> Line:
    return Line(found.number, exact.raw(row), f"row {found.number} of {found.file}: {reason}", found.file)
