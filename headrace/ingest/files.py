"""Readers of pulled files: bytes → rows as the bus carries them. Values that don't fit stay: landing judges them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

from headrace.ingest.pulled import Line
from headrace.project import Column, Contract

Reader = Callable[[bytes, Contract, str], Iterator[Line]]
_BOOLEANS = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}


def read_csv(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    """Lines of a CSV file with a header, typed by the contract. Raises ValueError when it has no usable header.

    A line with too many or too few fields is handed on as its bytes.
    """
    lines = content.decode("utf-8-sig", "surrogateescape").splitlines(keepends=True)
    head = next(csv.reader(lines[:1]), [])
    names = [name.strip() for name in head]
    missing = [c.name for c in contract.columns if c.required and c.name not in names]
    if not names or missing:
        raise ValueError(f"the first line must name the columns; it lacks {', '.join(missing) or 'all of them'}")
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


def read_json(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    """Objects of a JSON file: an array of them, or one per line. Raises ValueError when an array does not parse."""
    if content.lstrip()[:1] == b"[":
        return (
            Line(n, row if isinstance(row, dict) else orjson.dumps(row), "not an object", file)
            for n, row in enumerate(orjson.loads(content), 1)
        )
    return _json_lines(content, file)


def _json_lines(content: bytes, file: str) -> Iterator[Line]:
    for number, raw in enumerate(content.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            row = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            yield Line(number, raw, f"line {number} of {file} is not JSON: {error}", file)
            continue
        yield Line(number, row if isinstance(row, dict) else raw, f"line {number} of {file} is not an object", file)


def read_parquet(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    """Rows of a Parquet file. Raises ValueError when it isn't one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from error
    rows = (row for batch in opened.iter_batches(8192) for row in batch.to_pylist())
    return (Line(number, plain(row), file=file) for number, row in enumerate(rows, 1))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its values as the bus carries them: decimals and moments as strings, moments in UTC."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str | int | float | bool | dict | list | None) else str(value)


def _typed(text: str, column: Column | None) -> Any:
    """A field of a CSV line as the contract's type; the text itself where it doesn't fit, so that landing says so."""
    if text == "":
        return None
    if column is None or column.is_decimal:
        return text.strip() if column else text
    kind = column.logical
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean":
        return _BOOLEANS.get(text.strip().lower(), text)
    if kind in {"object", "array"}:
        return text
    return text.strip() if kind in {"date", "timestamp"} else text


READERS: dict[str, Reader] = {"csv": read_csv, "json": read_json, "parquet": read_parquet}
