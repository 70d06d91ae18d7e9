"""Follows the columns of one table's rows as they are decoded: new ones, and values that outgrow their column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from headrace.ingest.source_columns import Declared
from headrace.project import Column, Contract, Table
from headrace.project.contract import EVOLVE
from headrace.project.observed import Added, Observed, evolved, join, merged
from headrace.sql.validity import LARGEST, SMALLEST, Invalid, compile_check

MOST = 200  # observed columns of a table; services that send names as values can't make more
_SHAPES = 1000

Types = Callable[[], Mapping[str, Declared] | None]  # the source's own columns; None: it can't be asked


class Watch:
    """What one worker has seen of a table's columns: `observed`, and the contract that follows from it.

    `changed` is set when there is something that is not on record yet (headrace.lake.observed).
    """

    def __init__(self, table: Table, mode: str, observed: Observed | None = None, types: Types | None = None) -> None:
        self._file = table.contract
        self._captured = mode == "cdc"  # the source has one set of columns at a time, and a log that tells their order
        self._types: Types = types or (lambda: None)
        self._shapes: set[tuple[str, ...]] = set()
        self.changed = False
        self.take(observed or Observed())

    def take(self, observed: Observed) -> None:
        """Goes on from this record."""
        self.observed = observed
        self.contract = evolved(self._file, observed)

    @property
    def checked(self) -> tuple[Column, ...]:
        """The columns whose values must fit: the contract's, and observed ones that are not plain text, which holds
        anything."""
        named = set(self._file.names)
        return tuple(c for c in self.contract.columns if c.name in named or c.logical != "string")

    def see(self, image: dict[str, Any], op: str, order: tuple[int, str], at: tuple[str, int]) -> bool:
        """Looks at the columns of an after-image; returns whether the contract changed by it.

        `order` is the row's epoch and source position, `at` is topic/partition/offset and the append time in
        milliseconds. Rows of other partitions may come later than newer ones: they tell nothing new.
        """
        shape = tuple(image)
        if shape in self._shapes:
            return False
        known = self.observed
        if not known.columns:  # what is there in the beginning and not in the contract is left out by choice
            self._note(Observed(shape, order))
            return False
        there = set(known.columns) if self._captured else {*known.columns, *known.added}
        added = [name for name in shape if name not in there]
        gone = there.difference(shape) if self._captured else set()
        if self._captured:
            if (not added and not gone) or order < known.order:
                return False
        else:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            self._shapes.add(shape)
            if not added:
                return False
            shape, order = known.columns, known.order
        since, appended = at
        moment = datetime.fromtimestamp(appended / 1000, UTC).isoformat()
        declared = self._types() if added else None
        found = {}
        for name in added[: max(0, MOST - len(known.added))]:
            filled = self._captured and op != "r" and (bool(gone) or _filled(name, declared))
            found[name] = Added(self._type(name, image[name], declared), since, moment, order[0], filled)
        return self._note(Observed(shape, order, found))

    def widen(self, name: str, value: object) -> bool:
        """Whether a value that its column does not take is one of a wider type, which the contract has from now on.

        The contract's own columns only follow the source's declaration, and only as decimals with more digits: other
        values are wrong ones. Columns that were observed take every value, in the end as text.
        """
        column = next((c for c in self.contract.columns if c.name == name), None)
        if column is None or self._file.schema_change != EVOLVE or value is None:
            return False
        own = name in self._file.names
        if own and not (column.is_decimal and self._captured):
            return False
        declared = (self._types() or {}).get(name)
        if declared is not None:
            wide = join(column, declared.column)
            if wide != column and wide.logical == column.logical and _fits(wide, value):
                return self._note(_wider(self.observed, wide, own))
        return not own and self._note(_wider(self.observed, _holding(column, value), own))

    def _type(self, name: str, value: object, declared: Mapping[str, Declared] | None) -> Column:
        source = declared.get(name) if declared else None
        if source and (value is None or _fits(source.column, value)):
            return source.column
        return replace(_of_value(value), name=name)

    def _note(self, seen: Observed) -> bool:
        before = self.contract
        self.take(merged(self.observed, seen))
        self.changed = True
        return self.contract != before


def allowed(contract: Contract, image: dict[str, Any]) -> None:
    """Raises Invalid when an image has a column that its contract, which is frozen, does not name."""
    strange = image.keys() - set(contract.names)
    if strange:
        raise Invalid(min(strange), "a column that is not in the contract, which says schemaChange: freeze")


def _filled(name: str, declared: Mapping[str, Declared] | None) -> bool:
    if declared is None:
        return True  # nobody can say: a snapshot too many is only slow
    return name in declared and declared[name].filled


def _wider(observed: Observed, wide: Column, own: bool) -> Observed:
    if own:
        return Observed(observed.columns, observed.order, widened={wide.name: wide})
    added = {wide.name: replace(observed.added[wide.name], column=wide)}
    return Observed(observed.columns, observed.order, added)


def _holding(column: Column, value: object) -> Column:
    wide = join(column, replace(_of_value(value), name=column.name))
    return wide if _fits(wide, value) else replace(column, logical="string", precision=0, scale=0)


def _of_value(value: object) -> Column:
    if type(value) is int:
        return Column("", "integer" if SMALLEST <= value <= LARGEST else "string")
    kinds = {bool: "boolean", float: "number", dict: "object", list: "array"}
    return Column("", kinds.get(type(value), "string"))


def _fits(column: Column, value: object) -> bool:
    if column.logical == "string":
        return True
    try:
        compile_check([column])({column.name: value})
    except Invalid:
        return False
    return True
