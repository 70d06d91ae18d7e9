"""A live view as a tree of our own: what both engines compute per change, and what PostgreSQL computes when it is read.

Two levels. *Rows*: filter, keys and values of measures are functions of one image of the driving table; Spark and
Flink compute them, and sum the measures with the sign of the image. *Reading*: groups, results and HAVING are functions
of keys, of summed measures and of the current rows of joined tables; only PostgreSQL computes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace.sql import validity
from headrace.sql.live.types import COUNT, Type, of_contract, summed

IMAGES, APPENDED, PULLED = "cdc", "events", "cron"  # how a table's changes come: headrace.project.source calls it mode


class Column(validity.Column, Protocol):
    """What a live view needs to know of a contract's column."""

    @property
    def flink(self) -> str: ...
    @property
    def postgres(self) -> str: ...


@dataclass(frozen=True)
class Table:
    """A table that a view may read: its columns as the contract has them, its key, and how its changes come."""

    name: str
    columns: tuple[Any, ...]  # each a Column
    key: tuple[str, ...] = ()
    mode: str = IMAGES
    messages: str = ""  # which messages are its changes, and which of them count: another answer is another version

    def type_of(self, column: str) -> Type | None:
        """The type of a column; None when the table has none of that name."""
        found = next((c for c in self.columns if c.name.lower() == column.lower()), None)
        return of_contract(found.logical, found.precision, found.scale) if found else None

    def spelled(self, column: str) -> str:
        """The column's name as the contract writes it."""
        return next(c.name for c in self.columns if c.name.lower() == column.lower())


@dataclass(frozen=True)
class Node:
    """An expression: an operation of the allow-list (headrace.sql.live.text has them all), its type and its operands.

    `value` is what is no expression: a column's name, a literal, the unit of a time.
    """

    op: str
    type: Type
    args: tuple[Node, ...] = ()
    value: Any = None

    def walk(self) -> Iterator[Node]:
        yield self
        for arg in self.args:
            yield from arg.walk()


@dataclass(frozen=True)
class Key:
    """A value by which both layers keep their partials: a column k1, k2, … of their tables."""

    name: str
    node: Node


@dataclass(frozen=True)
class Measure:
    """A summed value of every partial: a column m1, m2, … of their tables.

    'sum' is Σ sign·x over the images where x is not NULL, 'count' is Σ sign over the same; 'min' and 'max' are over
    images that were only ever added.
    """

    name: str
    kind: str  # 'sum', 'count', 'min' or 'max'
    node: Node

    @property
    def type(self) -> Type:
        if self.kind == "count":
            return COUNT
        type_ = summed(self.node.type) if self.kind == "sum" else self.node.type
        assert type_ is not None, "the parser refuses sums that no engine has room for"
        return type_


@dataclass(frozen=True)
class Dimension:
    """A joined table, of which the current row counts when the view is read.

    `on` pairs a column of its key with what it must equal: keys of the partials, or columns of tables joined before.
    """

    alias: str
    table: Table
    left: bool
    on: tuple[tuple[str, Node], ...]
    columns: tuple[str, ...] = ()  # those that the view uses, in the contract's order; the key's are among them


@dataclass(frozen=True)
class Output:
    """A column of the view: an expression over groups (op 'group') and aggregates (op 'sum', 'count', …)."""

    name: str
    node: Node


@dataclass(frozen=True)
class View:
    """A live view. Two views with equal trees keep the same partials and show the same."""

    name: str
    table: Table
    filter: Node | None
    keys: tuple[Key, ...]
    measures: tuple[Measure, ...]
    dimensions: tuple[Dimension, ...]
    condition: Node | None  # what of WHERE speaks of joined tables: decided per partial, when the view is read
    groups: tuple[Node, ...]
    grouped: bool  # False: one row for all, also when there is no row at all
    outputs: tuple[Output, ...]
    having: Node | None = None
    distinct: str = ""  # the key whose values COUNT(DISTINCT) counts, of those that a row is left of
    seconds: int = field(default=10)  # length of a chunk
    generation: int = 0  # a repair raises it: partials of another version are made beside these

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(o.name for o in self.outputs)
