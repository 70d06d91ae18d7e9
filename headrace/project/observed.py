"""What a table's rows showed of its columns, and what a contract means together with that.

A contract is a file that people change; a source's columns change without asking. The record of what was seen belongs
to the landing table (headrace.lake.observed keeps it there), and the contract's `schemaChange` says what it counts for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headrace.project.contract import EVOLVE, Column, Contract

DIGITS = 38  # of the widest decimal that every engine has
_INTEGER_DIGITS = 19
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names that tables and views of the lake have beside the contract's columns.
TAKEN = frozenset(
    "op event_time appended_at valid_from valid_to "
    "_op _event_time _appended_at _epoch _position _partition _offset _deleted".split()
)


@dataclass(frozen=True)
class Added:
    """A column that rows have since some position, and did not have before."""

    column: Column  # its type: the source's own where it could be asked, else as its values are in JSON
    since: str  # topic/partition/offset of the first row with it
    at: str  # when that row was appended to the bus, ISO-8601
    epoch: int = 0  # of that row
    # Rows that were there before may have a value in it that no change ever told (a default, a new name for an old
    # column): only a snapshot brings it.
    filled: bool = False


@dataclass(frozen=True)
class Observed:
    """All that was seen of one table's columns. `columns` are those of the newest rows; empty: nothing was seen."""

    columns: tuple[str, ...] = ()
    order: tuple[int, str] = (0, "")  # epoch and source position since which rows have these columns
    added: Mapping[str, Added] = field(default_factory=dict)
    widened: Mapping[str, Column] = field(default_factory=dict)  # contract's columns whose values have outgrown it

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "order": list(self.order),
            "added": {
                name: {"type": _type(a.column), "since": a.since, "at": a.at, "epoch": a.epoch, "filled": a.filled}
                for name, a in self.added.items()
            },
            "widened": {name: _type(column) for name, column in self.widened.items()},
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Observed:
        epoch, position = value.get("order", (0, ""))
        return Observed(
            tuple(value.get("columns", ())),
            (epoch, position),
            {
                name: Added(_column(name, a["type"]), a["since"], a["at"], a["epoch"], a["filled"])
                for name, a in value.get("added", {}).items()
            },
            {name: _column(name, type_) for name, type_ in value.get("widened", {}).items()},
        )


def evolved(contract: Contract, observed: Observed) -> Contract:
    """The contract with the source's new columns and wider types, where it says that they count (`evolve`)."""
    if contract.schema_change != EVOLVE or not (observed.added or observed.widened):
        return contract
    columns = tuple(_wider(c, observed.widened[c.name]) if c.name in observed.widened else c for c in contract.columns)
    return replace(contract, columns=columns + tuple(a.column for a in new(contract, observed)))


def new(contract: Contract, observed: Observed) -> tuple[Added, ...]:
    """The observed columns that the contract does not name and that can be columns of a table, in order of name."""
    there = {name.lower() for name in contract.names} | TAKEN
    found = []
    for name in sorted(observed.added):
        if _NAME.fullmatch(name) and name.lower() not in there:
            there.add(name.lower())
            found.append(observed.added[name])
    return tuple(found)


def unfilled(contract: Contract, observed: Observed, epoch: int) -> tuple[str, ...]:
    """Columns that count, and of which rows from before them may lack a value that no snapshot up to `epoch` told."""
    names = evolved(contract, observed).names
    return tuple(n for n, a in sorted(observed.added.items()) if a.filled and a.epoch >= epoch and n in names)


def merged(one: Observed, other: Observed) -> Observed:
    """What both say together, as when two workers saw different partitions."""
    newest = max(one, other, key=lambda o: (o.order, o.columns))
    added = dict(one.added)
    for name, theirs in other.added.items():
        mine = added.get(name)
        added[name] = theirs if mine is None else _both(mine, theirs)
    widened = dict(one.widened)
    for name, column in other.widened.items():
        widened[name] = join(widened.get(name, column), column)
    return Observed(newest.columns, newest.order, added, widened)


def join(one: Column, other: Column) -> Column:
    """The narrowest type that holds the values of both, under the name of the first; string holds everything."""
    if (one.logical, one.precision, one.scale) == (other.logical, other.precision, other.scale):
        return one
    exact = [c for c in (one, other) if c.is_decimal]
    if exact and all(c.is_decimal or c.logical == "integer" for c in (one, other)):
        whole = max(c.precision - c.scale if c.is_decimal else _INTEGER_DIGITS for c in (one, other))
        scale = max(c.scale for c in exact)
        if whole + scale <= DIGITS:
            return replace(one, logical="number", precision=whole + scale, scale=scale)
    elif {one.logical, other.logical} == {"integer", "number"} and not exact:
        return replace(one, logical="number")
    return replace(one, logical="string", precision=0, scale=0)


def describe(column: Column) -> str:
    """A column as a line of a contract's `properties`."""
    physical = f", physicalType: 'decimal({column.precision},{column.scale})'" if column.is_decimal else ""
    return f"- {{name: {column.name}, logicalType: {column.logical}{physical}}}"


def keep(state: Path, table: str, observed: Observed) -> None:
    """Leaves a copy of the record beside the project, for those who may not open the lake (`headrace check`)."""
    path = _copy(state, table)
    text = json.dumps(observed.to_json(), indent=1)
    try:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(f".{os.getpid()}")
            new.write_text(text, encoding="utf-8")
            new.replace(path)
    except OSError:  # a folder that is not ours to write: the record itself is in the lake
        return


def kept(state: Path, table: str) -> Observed:
    """The copy of a table's record; nothing when there is none."""
    try:
        return Observed.from_json(json.loads(_copy(state, table).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return Observed()


def _copy(state: Path, table: str) -> Path:
    return state / "observed" / f"{table}.json"


def _wider(column: Column, seen: Column) -> Column:
    wide = join(column, seen)
    return wide if wide.logical == column.logical else column


def _both(one: Added, other: Added) -> Added:
    first = min(one, other, key=lambda a: (a.epoch, a.at, a.since))
    last = max(one, other, key=lambda a: (a.epoch, a.at, a.since))
    filled = one.filled or other.filled
    return replace(
        first, column=join(one.column, other.column), epoch=last.epoch if last.filled else first.epoch, filled=filled
    )


def _type(column: Column) -> list[Any]:
    return [column.logical, column.precision, column.scale]


def _column(name: str, type_: list[Any]) -> Column:
    logical, precision, scale = type_
    return Column(name, logical, precision=precision, scale=scale)
