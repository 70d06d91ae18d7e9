"""Columns from values, for sources that declare none: files and answers of services. What a contract says of them is a
guess from what was seen, made so that it accepts all of that and as few rows as can be go to quarantine later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from typing import Any

from headrace.project import Column
from headrace.project.found import FoundColumn
from headrace.pulls.exact import Digits
from headrace.sql.validity import DATE, LARGEST, SMALLEST, TIMESTAMP

Rows = Sequence[dict[str, Any]]
_WIDTHS = (18, 38)  # digits of the decimals that are proposed: the narrowest that holds what was seen
_SCALE = 9  # more digits behind the point are a measurement, not an amount
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)  # 007 is a text
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)\.\d+", re.ASCII)
_DATE = re.compile(DATE.removesuffix("Z?"), re.ASCII)
_TIMESTAMP = re.compile(TIMESTAMP, re.ASCII)
_NAMED = re.compile(r"(?:.*_)?(?:id|uuid|guid|key|code|number|nr|no|sku|isbn|iban)", re.IGNORECASE)
IN_KEY = {"string", "integer", "date"}
_TOGETHER = 3  # columns that are tried as one key


def columns(files: Sequence[Rows], texts: bool = False) -> tuple[FoundColumn, ...]:
    """The columns of rows, file by file, as exact.parse gives them; `texts`: their values are texts, as in CSV.

    A key is what tells the rows of each file apart: a later file may bring a row of the same key again.
    """
    rows = [row for file in files for row in file]
    names = list(dict.fromkeys(name for row in rows for name in row))
    found = [_column(name, [row.get(name) for row in rows], texts) for name in names]
    key = _key([c.column for c in found], files)
    return tuple(_keyed(c, key, len(rows)) for c in found)


def _keyed(found: FoundColumn, key: tuple[str, ...], rows: int) -> FoundColumn:
    if found.name not in key:
        return found
    note = (
        f"A guess: {' and '.join(key)} told the {rows} rows apart that were looked at" if found.name == key[0] else ""
    )
    return replace(found, column=replace(found.column, key=True, required=True), note=note or found.note)


def _column(name: str, values: list[Any], texts: bool) -> FoundColumn:
    there = [v for v in values if v is not None]
    kinds = {_text_kind(v) if texts else _kind(v) for v in there}
    if not kinds:
        return FoundColumn(Column(name, "string"), note="No value was seen")
    if kinds <= {"integer", "decimal"} and "decimal" in kinds:
        return FoundColumn(_exact(name, there))
    if kinds <= {"integer", "decimal", "double"} and "double" in kinds:
        return FoundColumn(Column(name, "number"))
    if len(kinds) == 1 and kinds <= {"integer", "boolean", "date", "timestamp", "object", "array", "string"}:
        return FoundColumn(Column(name, kinds.pop()))
    if texts or kinds <= {"string", "date", "timestamp"}:
        return FoundColumn(Column(name, "string"))
    return FoundColumn(
        Column(name, "string"), note=f"Values of several kinds ({', '.join(sorted(kinds))}): not all fit"
    )


def _kind(value: Any) -> str:
    if isinstance(value, Digits):
        return "decimal" if _DECIMAL.fullmatch(value) else "double"
    if isinstance(value, str):
        return _moment(value, zoned=True) or "string"
    kinds = {bool: "boolean", int: "integer", dict: "object", list: "array"}
    return kinds.get(type(value), "string")


def _text_kind(text: str) -> str:
    text = text.strip()
    if text.lower() in {"true", "false"}:
        return "boolean"
    if _INTEGER.fullmatch(text):
        return "integer" if len(text) < 20 and SMALLEST <= int(text) <= LARGEST else "string"
    return "decimal" if _DECIMAL.fullmatch(text) else _moment(text) or "string"


def _moment(text: str, zoned: bool = False) -> str:
    """date, timestamp or nothing. `zoned`: with an offset will do, since it is turned into UTC on its way."""
    try:
        if _DATE.fullmatch(text):
            datetime.fromisoformat(text)
            return "date"
        if _TIMESTAMP.fullmatch(text) or (zoned and "T" in text and datetime.fromisoformat(text).tzinfo):
            datetime.fromisoformat(text)
            return "timestamp"
    except ValueError:
        pass
    return ""


def _exact(name: str, values: Iterable[Any]) -> Column:
    whole = scale = 0
    for value in values:
        before, _, behind = str(value).strip().lstrip("-").partition(".")
        whole, scale = max(whole, len(before)), max(scale, len(behind), 2)
    if scale > _SCALE or whole + scale > _WIDTHS[-1]:
        return Column(name, "number")
    precision = next(w for w in _WIDTHS if whole + scale <= w)
    return Column(name, "number", precision=precision, scale=scale)


def _key(found: Sequence[Column], files: Sequence[Rows]) -> tuple[str, ...]:
    """The fewest columns that are never empty and tell the rows of each file apart; those called like a key first."""
    able = [c.name for c in found if c.logical in IN_KEY and all(_given(r.get(c.name)) for f in files for r in f)]
    able.sort(key=unlike_key)  # stable
    for size in range(1, _TOGETHER + 1):
        for names in combinations(able, size):
            if all(_distinct(names, rows) for rows in files):
                order = {c.name: n for n, c in enumerate(found)}
                return tuple(sorted(names, key=order.__getitem__))
    return ()


def unlike_key(name: str) -> tuple[bool, bool]:
    """Smaller the more a column is called like a key."""
    return name.lower() not in {"id", "uuid"}, not _NAMED.fullmatch(name)


def _given(value: Any) -> bool:
    return value is not None and value != ""


def _distinct(names: tuple[str, ...], rows: Rows) -> bool:
    return len({tuple(row[n] for n in names) for row in rows}) == len(rows)
