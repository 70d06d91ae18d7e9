"""Reader of Parquet files: decimals and moments keep their exactness, and a damaged file gives no row at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from headrace.project import Contract
from headrace.pulls import exact
from headrace.pulls.pulled import Line
from headrace.pulls.values import plain

_MAGIC = b"PAR1"  # the first and, after the footer, the last bytes of a complete file
_ROWS = 8192


def read_parquet(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    """Rows of a Parquet file. Raises ValueError when it isn't a complete one that can be read to its end.

    So nothing of a damaged file is on the bus. A row with a value that can't be read (a text that is not UTF-8, a
    moment beyond the calendar) is handed on as JSON with its place and the reason.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (content.startswith(_MAGIC) and content.endswith(_MAGIC) and len(content) > 2 * len(_MAGIC)):
        raise ValueError("it has no Parquet footer: it is still being written, or was cut off, or is of another format")
    try:
        opened = pq.ParquetFile(io.BytesIO(content))
        for _ in opened.iter_batches(_ROWS):
            pass
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"it is damaged: {error}") from error
    names = opened.schema_arrow.names
    missing = [c.name for c in contract.columns if c.required and c.name not in names]
    if missing:
        raise ValueError(f"it lacks the column {', '.join(missing)}; it has: {', '.join(names)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it has the column {', '.join(twice)} twice")
    return _lines(opened, file)


def _lines(opened: Any, file: str) -> Iterator[Line]:
    number = 0
    for batch in opened.iter_batches(_ROWS):
        try:
            rows = [plain(row) for row in batch.to_pylist()]
        except (ValueError, OverflowError):
            rows = None
        for index in range(batch.num_rows):
            number += 1
            yield Line(number, rows[index], file=file) if rows else _careful(batch, index, number, file)


def _careful(batch: Any, index: int, number: int, file: str) -> Line:
    """A row of a batch that holds something unreadable, read value by value."""
    row: dict[str, Any] = {}
    wrong = ""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row |= plain({name: column[index].as_py()})
        except UnicodeDecodeError as error:
            row[name] = error.object.decode("utf-8", "surrogateescape")
            wrong = wrong or f"{name} is not UTF-8"
        except (ValueError, OverflowError) as error:
            row[name] = f"({column.type})"
            wrong = wrong or f"{name}: {error}"
    if wrong:
        return Line(number, exact.raw(row), f"row {number} of {file}: {wrong}", file)
    return Line(number, row, file=file)
