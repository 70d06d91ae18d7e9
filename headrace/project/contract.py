"""Contracts: what a landed table looks like (contract_file.py reads them from `schemas/*.yaml`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from headrace.errors import Place
from headrace.project.quality_check import Check

# logicalType (ODCS) → Spark, Flink, PostgreSQL. Decimals carry precision and scale from physicalType.
TYPES = {
    "string": ("STRING", "STRING", "text"),
    "integer": ("BIGINT", "BIGINT", "bigint"),
    "number": ("DOUBLE", "DOUBLE", "double precision"),
    "boolean": ("BOOLEAN", "BOOLEAN", "boolean"),
    "date": ("DATE", "DATE", "date"),
    "timestamp": ("TIMESTAMP", "TIMESTAMP_LTZ(6)", "timestamptz"),
    "object": ("STRING", "STRING", "jsonb"),
    "array": ("STRING", "STRING", "jsonb"),
}
# What becomes of a change of the source's columns that the contract does not know (project/observed.py).
EVOLVE, FREEZE, DISCARD = SCHEMA_CHANGES = ("evolve", "freeze", "discard_column")
_DURATION = re.compile(r"(\d+)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Column:
    """One column: its logical type, and whether a row without it, or with two rows alike in it, is wrong."""

    name: str
    logical: str
    required: bool = False
    key: bool = False
    precision: int = 0
    scale: int = 0
    classification: str = ""
    personal: bool = False  # its values are somebody's own: readers of the serving database don't see them

    @property
    def is_decimal(self) -> bool:
        return self.logical == "number" and self.precision > 0

    @property
    def spark(self) -> str:
        return f"DECIMAL({self.precision},{self.scale})" if self.is_decimal else TYPES[self.logical][0]

    @property
    def flink(self) -> str:
        return f"DECIMAL({self.precision},{self.scale})" if self.is_decimal else TYPES[self.logical][1]

    @property
    def postgres(self) -> str:
        return f"numeric({self.precision},{self.scale})" if self.is_decimal else TYPES[self.logical][2]


@dataclass(frozen=True)
class Contract:
    """A table's columns, key and event time; `place` is the file it was read from."""

    table: str
    version: str
    columns: tuple[Column, ...]
    place: Place
    event_time: str = ""  # the column that says when it happened; empty: the source's commit time
    disorder: float = 5.0  # seconds a row may arrive after a later one without being late
    event_id: str = ""  # the column that tells a repeated event; empty: no repeats are expected
    horizon: float = 3600.0  # seconds within which a second event with the same id is a repeat
    schema_change: str = EVOLVE  # one of SCHEMA_CHANGES
    checks: tuple[Check, ...] = ()  # of its rows together, declared and implied; run by headrace.quality
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(c.name for c in self.columns))

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.key)


def seconds(text: object) -> float | None:
    """'5s', '2m', '1h' in seconds; None when it is not a duration."""
    match = _DURATION.fullmatch(str(text).strip())
    return int(match[1]) * _SECONDS[match[2]] if match else None
