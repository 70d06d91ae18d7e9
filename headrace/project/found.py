"""What a source says of itself before there is a file about it: its tables and their columns, to propose files from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.project.contract import Column
from headrace.sql.bounds import Bounds


@dataclass(frozen=True)
class FoundColumn:
    """One column as its source has it."""

    column: Column  # its type in a contract, whether it may lack, whether it is part of the key
    physical: str = ""  # the source's own word for the type
    description: str = ""
    note: str = ""  # what a person should know who reads the contract
    unique: bool = False
    indexed: bool = False
    grows: bool = False  # the database numbers new rows with it
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def name(self) -> str:
        return self.column.name


@dataclass(frozen=True)
class FoundTable:
    """One table. `skip` says why it can't be taken; it has no columns then."""

    name: str  # what the source calls it
    origin: str  # where it comes from, as a source's file says it
    columns: tuple[FoundColumn, ...] = ()
    skip: str = ""
    left_out: tuple[tuple[str, str], ...] = ()  # columns that a contract can't or should not have, each with the reason
    unique: tuple[tuple[str, ...], ...] = ()  # columns that only together tell rows apart, beside the key
    description: str = ""
    notes: tuple[str, ...] = ()  # what a person should know before the source runs
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the table in the source's file


@dataclass(frozen=True)
class FoundSource:
    """A source of a kind that can be asked: how it is reached, and its tables."""

    kind: str
    connection: Mapping[str, Any]
    about: str  # one sentence: what this source is
    tables: tuple[FoundTable, ...] = ()
    notes: tuple[str, ...] = ()
