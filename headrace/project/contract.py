"""Contracts: what a landed table looks like, read from `schemas/*.yaml` in the Open Data Contract Standard (v3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.located import Located, read

# logicalType (ODCS) → Spark, Flink, PostgreSQL. Decimals carry precision and scale from physicalType.
_TYPES = {
    "string": ("STRING", "STRING", "text"),
    "integer": ("BIGINT", "BIGINT", "bigint"),
    "number": ("DOUBLE", "DOUBLE", "double precision"),
    "boolean": ("BOOLEAN", "BOOLEAN", "boolean"),
    "date": ("DATE", "DATE", "date"),
    "timestamp": ("TIMESTAMP", "TIMESTAMP_LTZ(6)", "timestamptz"),
    "object": ("STRING", "STRING", "jsonb"),
    "array": ("STRING", "STRING", "jsonb"),
}
_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+),\s*(\d+)\)", re.IGNORECASE)
_DURATION = re.compile(r"(\d+)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PROPERTIES = {"eventTime", "disorder", "eventId", "duplicateHorizon"}


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

    @property
    def is_decimal(self) -> bool:
        return self.logical == "number" and self.precision > 0

    @property
    def spark(self) -> str:
        return f"DECIMAL({self.precision},{self.scale})" if self.is_decimal else _TYPES[self.logical][0]

    @property
    def flink(self) -> str:
        return f"DECIMAL({self.precision},{self.scale})" if self.is_decimal else _TYPES[self.logical][1]

    @property
    def postgres(self) -> str:
        return f"numeric({self.precision},{self.scale})" if self.is_decimal else _TYPES[self.logical][2]


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


def read_contract(path: Path) -> Contract:
    """Reads one contract; raises HeadraceError with every mistake in the file, each at its line."""
    doc = read(path)
    problems: list[Problem] = []
    schema = doc.value.get("schema")  # type: ignore[union-attr]
    if not isinstance(schema, list) or len(schema) != 1 or not isinstance(schema[0], dict):
        hint = "schema:\n  - name: orders\n    properties:\n      - name: id\n        logicalType: integer"
        raise HeadraceError("a contract needs `schema` with exactly one table", place=doc.place("schema"), hint=hint)
    table = str(schema[0].get("name", path.stem))
    if table != path.stem:
        message = f"the contract of table {table!r} must be in {table}.yaml"
        problems.append(Problem(message, doc.place("schema", 0, "name"), f"rename the file, or say name: {path.stem}"))
    columns = _columns(doc, schema[0].get("properties"), problems)
    custom = _custom(doc, problems)
    names = {c.name for c in columns}
    for option in ("eventTime", "eventId"):
        if custom.get(option) and custom[option] not in names:
            hint = did_you_mean(str(custom[option]), names)
            problems.append(Problem(f"{option} names no column of {table!r}", doc.place("customProperties"), hint))
    if columns and not any(c.key for c in columns):
        hint = "add `primaryKey: true` to the column that identifies a row"
        problems.append(Problem(f"table {table!r} has no primary key", doc.place("schema", 0, "properties"), hint))
    if problems:
        raise HeadraceError(*problems)
    return Contract(
        table=table,
        version=str(doc.value.get("version", "1.0.0")),  # type: ignore[union-attr]
        columns=columns,
        place=doc.place("schema", 0, "name"),
        event_time=str(custom.get("eventTime", "")),
        disorder=seconds(custom.get("disorder", "5s")) or 0.0,
        event_id=str(custom.get("eventId", "")),
        horizon=seconds(custom.get("duplicateHorizon", "1h")) or 0.0,
    )


def _columns(doc: Located, properties: object, problems: list[Problem]) -> tuple[Column, ...]:
    if not isinstance(properties, list) or not properties:
        problems.append(Problem("the table has no `properties` (columns)", doc.place("schema", 0)))
        return ()
    columns: dict[str, Column] = {}
    for index, entry in enumerate(properties):
        at = doc.place("schema", 0, "properties", index)
        if not isinstance(entry, dict) or not entry.get("name"):
            problems.append(Problem("a column needs a `name`", at))
            continue
        name, logical = str(entry["name"]), str(entry.get("logicalType", ""))
        if logical not in _TYPES:
            place = doc.place("schema", 0, "properties", index, "logicalType")
            problems.append(Problem(f"column {name!r}: no such logicalType {logical!r}", place, did_you_mean(logical, _TYPES)))
            continue
        if name in columns:
            problems.append(Problem(f"column {name!r} stands twice", at))
            continue
        exact = _DECIMAL.fullmatch(str(entry.get("physicalType", "")).strip())
        columns[name] = Column(
            name=name,
            logical=logical,
            required=bool(entry.get("required") or entry.get("primaryKey")),
            key=bool(entry.get("primaryKey")),
            precision=int(exact[1]) if exact else 0,
            scale=int(exact[2]) if exact else 0,
            classification=str(entry.get("classification", "")),
        )
    return tuple(columns.values())


def _custom(doc: Located, problems: list[Problem]) -> dict[str, object]:
    custom: dict[str, object] = {}
    for index, entry in enumerate(doc.value.get("customProperties") or []):  # type: ignore[union-attr]
        name = str(entry.get("property", "")) if isinstance(entry, dict) else ""
        place = doc.place("customProperties", index)
        if name not in _PROPERTIES:
            problems.append(Problem(f"no such customProperty {name!r}", place, did_you_mean(name, _PROPERTIES)))
        elif name in {"disorder", "duplicateHorizon"} and seconds(entry.get("value")) is None:
            problems.append(Problem(f"{name} is not a duration: {entry.get('value')!r}", place, "such as 5s, 2m, 1h"))
        else:
            custom[name] = entry.get("value")
    return custom
