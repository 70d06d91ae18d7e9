"""What pulls have delivered of a table that keeps no log: a digest per key, in parts on a topic of the table's own.

A pull reads all rows in order of the key's token. The ring of tokens is cut into buckets; a bucket's rows are compared
with its digests when its last row was read, so that only one bucket's keys are in memory, and a part is written anew
only where something changed. What a part says is committed together with the rows that it speaks of.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from headrace.errors import HeadraceError
from headrace.project import Table
from headrace.pulls import exact
from headrace.pulls.pulled import Line, State

BITS = 12  # the ring has 4096 buckets: of a million rows one holds 250
ROWS, BYTES = 20_000, 32 << 20  # of one step, unless a single row has more
_PART = 20_000  # keys of one record; a wide partition is one bucket and may have many


class Read(NamedTuple):
    """One row of a walk: its partition's token, its values as the bus carries them, when it was written (ms or 0)."""

    token: int
    row: dict[str, Any]
    ts_ms: int = 0


class Delivered:
    """The digests of one table; `records` are those of its topic, oldest first. `key` names the columns of its key."""

    def __init__(self, key: tuple[str, ...], records: Iterable[tuple[str, bytes | None]]) -> None:
        self._key = list(key)
        newest = dict(records)
        self._parts = {name: value for name, value in newest.items() if value}

    def buckets(self) -> list[int]:
        """The buckets of which rows were delivered, in order."""
        return sorted({int(name.partition("/")[0]) for name in self._parts})

    def rows(self, bucket: int) -> dict[str, str]:
        """Key (as JSON) → digest. Empty when the key had other columns then: all rows are new by their names."""
        found: dict[str, str] = {}
        for name in self._names(bucket):
            part = orjson.loads(zlib.decompress(self._parts[name]))
            if part["key"] == self._key:
                found |= part["rows"]
        return found

    def store(self, bucket: int, rows: dict[str, str]) -> dict[str, bytes | None]:
        """Takes up a bucket's digests; returns the records that say so: those that differ, None for one that goes."""
        made: dict[str, bytes] = {}
        listed = list(rows.items())
        for number, first in enumerate(range(0, len(listed), _PART)):
            part = {"key": self._key, "rows": dict(listed[first : first + _PART])}
            made[_name(bucket, number)] = zlib.compress(orjson.dumps(part), 1)
        changed: dict[str, bytes | None] = {n: data for n, data in made.items() if self._parts.get(n) != data}
        changed |= dict.fromkeys(set(self._names(bucket)) - made.keys())
        for name, data in changed.items():
            if data is None:
                del self._parts[name]
            else:
                self._parts[name] = data
        return changed

    def _names(self, bucket: int) -> list[str]:
        found, number = [], 0
        while (name := _name(bucket, number)) in self._parts:
            found.append(name)
            number += 1
        return found


def digest(data: bytes) -> str:
    """The digest of a row as JSON with its keys sorted: 96 bits as text."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def unlike(
    found: Iterable[Read], table: Table, delivered: Delivered, state: State
) -> Iterator[tuple[Iterator[Line], State]]:
    """Steps of the rows that are not as they were delivered, and of the keys that are gone.

    `found` must be all rows of the table, in order of their tokens, and raise when it can't be: then nothing of the
    bucket that it was in is taken for gone. Guarantee: when all steps are delivered, the newest message of each key is
    the row that was read, and keys that were not read have a deletion as their newest, whatever was delivered before.
    """
    step = _Step(state)
    for bucket, rows in _by_bucket(found, delivered.buckets()):
        known = delivered.rows(bucket)
        seen: set[str] = set()
        before = dict(known)
        for one in rows:
            key, line, hash_, size = _line(one, table, len(step.lines) + 1)
            seen.add(key)
            if known.get(key) == hash_:
                continue
            known[key] = hash_
            step.add(line, size)
            if step.full:
                step.parts |= delivered.store(bucket, known)
                yield step.take()
        for key in [key for key in known if key not in seen]:
            del known[key]
            values = orjson.loads(key)
            if isinstance(values, list) and None not in values:  # else it landed no row
                row = dict(zip(table.contract.key, values, strict=True))
                step.add(Line(len(step.lines) + 1, row, gone=True), len(key))
        if known != before:
            step.parts |= delivered.store(bucket, known)
        if step.full:
            yield step.take()
    if step.lines or step.parts:
        yield step.take()


class _Step:
    """Lines and parts that are to be delivered together."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.lines: list[Line] = []
        self.parts: dict[str, bytes | None] = {}
        self._size = 0

    def add(self, line: Line, size: int) -> None:
        self.lines.append(line)
        self._size += size

    @property
    def full(self) -> bool:
        return len(self.lines) >= ROWS or self._size >= BYTES

    def take(self) -> tuple[Iterator[Line], State]:
        self._state = self._state.next(parts=self.parts)
        lines, self.lines, self.parts, self._size = self.lines, [], {}, 0
        return iter(lines), self._state


def _by_bucket(found: Iterable[Read], known: list[int]) -> Iterator[tuple[int, Iterator[Read]]]:
    """Every bucket that has rows now or had some, in order, with its rows; each must be read before the next."""
    rows, waiting = iter(found), list(reversed(known))
    first = next(rows, None)
    while first is not None:
        bucket = _bucket(first.token)
        while waiting and waiting[-1] < bucket:
            yield waiting.pop(), iter(())
        if waiting and waiting[-1] == bucket:
            waiting.pop()
        rest = _Rest(first, rows)
        yield bucket, rest.rows()
        first = rest.after
    while waiting:
        yield waiting.pop(), iter(())


class _Rest:
    """The rows of one bucket, and the first row behind it."""

    def __init__(self, first: Read, rows: Iterator[Read]) -> None:
        self._first, self._rows = first, rows
        self.after: Read | None = None

    def rows(self) -> Iterator[Read]:
        bucket, last = _bucket(self._first.token), self._first.token
        yield self._first
        for one in self._rows:
            if one.token < last:
                raise HeadraceError(f"rows don't come in order of their tokens: {one.token} after {last}")
            last = one.token
            if _bucket(one.token) != bucket:
                self.after = one
                return
            yield one


def _bucket(token: int) -> int:
    return (token + (1 << 63)) >> (64 - BITS)


def _name(bucket: int, number: int) -> str:
    return f"{bucket:04d}/{number}"


def _line(one: Read, table: Table, number: int) -> tuple[str, Line, str, int]:
    """Key, line, digest and size of a row. One without a whole key, or that JSON can't express, is its bytes."""
    values = [one.row.get(name) for name in table.contract.key]
    place, error = f"row {number} of {table.origin}", ""
    try:
        key = orjson.dumps(values)
    except orjson.JSONEncodeError:
        key = orjson.dumps(exact.raw(values).decode("latin-1"))  # no array: no landed row has it
    try:
        data = orjson.dumps(one.row, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as reason:
        data, error = exact.raw(one.row), f"{place}: {reason}"
    if None in values:
        error = f"{place} has no {', '.join(n for n, v in zip(table.contract.key, values, strict=True) if v is None)}"
    line = Line(number, data if error else one.row, error, ts_ms=one.ts_ms)
    return key.decode(), line, digest(data), len(data)
