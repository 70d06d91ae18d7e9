"""Readers of pulled files: bytes → rows as the bus carries them. Values that don't fit stay: landing judges them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from typing import Any

from headrace.project import Column, Contract
from headrace.pulls.json_files import read_json
from headrace.pulls.parquet_files import read_parquet
from headrace.pulls.pulled import Line
from headrace.sql.validity import LARGEST, SMALLEST

_SUFFIXES = (".tmp", ".part", ".partial", ".crdownload", "~")

csv.field_size_limit(1 << 30)  # a quote that is never closed makes one long field: a bad line, not the end of the pull

Reader = Callable[[bytes, Contract, str], Iterator[Line]]
_BOOLEANS = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}


def unfinished(name: str) -> bool:
    """Whether a file's name says that it is hidden, or not whole yet."""
    return name.startswith(".") or name.endswith(_SUFFIXES)


def read_csv(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    """Lines of a CSV file with a header, typed by the contract. Raises ValueError when it has no usable header.

    A line with too many or too few fields is handed on as its bytes.
    """
    # Not str.splitlines: that also splits at characters that may stand in a field, such as U+2028.
    lines = io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="").readlines()
    head = next(csv.reader(lines[:1]), [])
    names = [name.strip() for name in head]
    missing = [c.name for c in contract.columns if c.required and c.name not in names]
    if not names or missing:
        raise ValueError(f"the first line must name the columns; it lacks {', '.join(missing) or 'all of them'}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the first line names the column {', '.join(twice)} twice")
    return _csv_lines(lines, names, contract, file)


def _csv_lines(lines: list[str], names: list[str], contract: Contract, file: str) -> Iterator[Line]:
    columns = {c.name: c for c in contract.columns}
    reader = csv.reader(lines[1:])
    began = 0
    for number, fields in enumerate(reader, 1):
        raw = "".join(lines[1 + began : 1 + reader.line_num])
        began = reader.line_num
        if not fields:
            continue
        raw_bytes = raw.rstrip("\r\n").encode("utf-8", "surrogateescape")
        if len(fields) != len(names):
            error = f"line {number + 1} of {file} has {len(fields)} fields, not {len(names)}"
            yield Line(number, raw_bytes, error, file)
        elif any("\udc80" <= c <= "\udcff" for c in raw):
            yield Line(number, raw_bytes, f"line {number + 1} of {file} is not UTF-8", file)
        else:
            row = {name: _typed(text, columns.get(name)) for name, text in zip(names, fields, strict=True)}
            yield Line(number, row, file=file)


def _typed(text: str, column: Column | None) -> Any:
    """A field of a CSV line as the contract's type; the text itself where it doesn't fit, so that landing says so."""
    if text == "":
        return None
    if column is None or column.is_decimal:
        return text.strip() if column else text
    kind = column.logical
    if kind in {"integer", "number"}:
        return _number(text, kind)
    if kind == "boolean":
        return _BOOLEANS.get(text.strip().lower(), text)
    if kind in {"object", "array"}:
        return text
    return text.strip() if kind in {"date", "timestamp"} else text


def _number(text: str, kind: str) -> int | float | str:
    if "_" in text:  # a digit separator of Python's, of no one else's
        return text
    try:
        number = int(text) if kind == "integer" else float(text)
    except ValueError:
        return text
    # JSON can't say nan or infinity, and what 64 bits don't hold no column takes.
    return number if (SMALLEST <= number <= LARGEST if kind == "integer" else math.isfinite(number)) else text


READERS: dict[str, Reader] = {"csv": read_csv, "json": read_json, "parquet": read_parquet}
