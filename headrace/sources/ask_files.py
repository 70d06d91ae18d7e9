"""Looks into a folder for tables: files of one format with the same columns are one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError
from headrace.project import Column
from headrace.project.found import FoundColumn, FoundSource, FoundTable
from headrace.pulls import exact
from headrace.pulls.json_files import is_array
from headrace.pulls.values import plain
from headrace.sources import infer
from headrace.sources.asked import Asked, below

FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
_FILES = 20  # of each format, in order of their names, that are looked into
_ROWS = 10_000  # of one file
LINES = {".csv", ".jsonl", ".ndjson"}  # of which the beginning is enough to look at
BYTES = 4 << 20  # of one file whose lines are rows; an array and a Parquet file are read whole
_WHOLE = 200 << 20  # bytes of the largest that is


@dataclass(frozen=True)
class _File:
    path: Path
    format: str
    columns: tuple[FoundColumn, ...] = ()  # as the file declares them itself (Parquet)
    rows: tuple[dict[str, Any], ...] = ()
    wrong: str = ""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(c.name for c in self.columns) or frozenset(n for row in self.rows for n in row)


def folder(asked: Asked) -> FoundSource:
    """The tables of a folder, or of a single file. Raises HeadraceError when there is none."""
    given = Path(asked.url).expanduser()
    place = given.parent if given.is_file() else given
    try:
        there = sorted([given] if given.is_file() else given.iterdir())
    except FileNotFoundError:
        raise HeadraceError(f"there is no folder {asked.url}", hint="a folder with the first files in it") from None
    except OSError as error:
        raise HeadraceError(f"{asked.url} can't be read: {error.strerror}") from None
    there = [p for p in there if p.is_file() and not p.name.startswith(".") and p.suffix in FORMATS]
    if not there:
        hint = f"it needs a file to look at, ending in {', '.join(FORMATS)}"
        raise HeadraceError(f"nothing in {asked.url} can be read", hint=hint)
    files = [_read(p) for p in first_of(there)]
    groups = _grouped(files)
    tables = [_table(asked, group, there, alone=len(groups) == 1 and given.is_dir()) for group in groups]
    tables += [FoundTable(f.path.stem, f.path.name, skip=f.wrong) for f in files if f.wrong]
    about = f"Files of {asked.name}: each new or changed one is pulled."
    return FoundSource("files", {"path": below(asked.project.root, place)}, about, tuple(tables))


def first_of(paths: Iterable[Path]) -> list[Path]:
    by_suffix: dict[str, list[Path]] = {}
    for path in paths:
        by_suffix.setdefault(path.suffix, []).append(path)
    return [path for found in by_suffix.values() for path in found[:_FILES]]


def _grouped(files: Iterable[_File]) -> list[list[_File]]:
    """Files whose columns are the same, or all but a few: rows of JSON need not have every one."""
    groups: list[list[_File]] = []
    for file in files:
        if file.wrong:
            continue
        for group in groups:
            one = group[0]
            same = len(one.names & file.names) / max(len(one.names | file.names), 1)
            if one.path.suffix == file.path.suffix and same >= (0.6 if file.format == "json" else 1):
                group.append(file)
                break
        else:
            groups.append([file])
    return groups


def _table(asked: Asked, group: list[_File], there: list[Path], alone: bool) -> FoundTable:
    first = group[0]
    prefix = re.split(r"\d", first.path.stem)[0]  # prices-2026-01-01 → prices-
    stem, single = prefix.strip("._- "), prefix == first.path.stem and len(group) == 1
    own = first.path.name if single else f"{prefix}*{first.path.suffix}"
    pattern, name = (f"*{first.path.suffix}", asked.name) if alone else (own, stem)
    mine = {file.path.name for file in group}
    looked = {p.name for p in first_of(there)}
    if not alone and {p for p in looked if fnmatchcase(p, pattern)} != mine:
        pattern, name = (first.path.name, first.path.stem) if len(group) == 1 else ("", stem or first.path.stem)
    table = FoundTable(name or first.path.stem, pattern or first.path.name, settings={"format": first.format})
    if not pattern:
        return replace(table, skip=f"no pattern tells {', '.join(sorted(mine)[:3])} from the other files: use folders")
    rows = [file.rows for file in group]
    if not any(rows) and not first.columns:
        return replace(table, skip="its files hold no row to look at")
    guessed = infer.columns(rows, texts=first.format == "csv")
    return replace(table, columns=_declared(first, guessed) if first.columns else guessed)


def _declared(file: _File, guessed: Iterable[FoundColumn]) -> tuple[FoundColumn, ...]:
    """Columns as a Parquet file declares them, with the key that its rows show."""
    seen = {c.name: c for c in guessed}
    return tuple(
        replace(c, column=replace(c.column, key=True, required=True), note=seen[c.name].note)
        if c.name in seen and seen[c.name].column.key
        else c
        for c in file.columns
    )


def _read(path: Path) -> _File:
    file = _File(path, FORMATS[path.suffix])
    try:
        return {"csv": _csv, "json": _json, "parquet": _parquet}[file.format](file)
    except OSError as error:
        return replace(file, wrong=f"it can't be read: {(error.strerror or str(error)).lower()}")
    except ValueError as error:
        return replace(file, wrong=str(error))


def _beginning(path: Path) -> bytes:
    """The first lines of a file, whole ones."""
    with path.open("rb") as stream:
        data = stream.read(BYTES)
    return data if len(data) < BYTES else data[: data.rfind(b"\n") + 1]


def _csv(file: _File) -> _File:
    lines = io.StringIO(_beginning(file.path).decode("utf-8-sig", "replace"), newline="").readlines()
    head = [name.strip() for name in next(csv.reader(lines[:1]), [])]
    if len(head) == 1 and any(mark in head[0] for mark in ";\t|"):
        raise ValueError("its fields are not separated by commas")
    if not head or not all(head):
        raise ValueError("its first line does not name the columns")
    if len(set(head)) < len(head):
        raise ValueError("its first line names a column twice")
    fields = (f for f in csv.reader(lines[1:]) if len(f) == len(head))
    rows = tuple(dict(zip(head, (v or None for v in f), strict=True)) for f in islice(fields, _ROWS))
    return replace(file, rows=rows)


def _json(file: _File) -> _File:
    content = _beginning(file.path)
    if is_array(content):
        if file.path.stat().st_size > _WHOLE:
            raise ValueError("it is one array, and too large to look at: an object per line can be of any size")
        found = exact.parse(file.path.read_bytes().decode("utf-8-sig", "replace"))
    else:
        lines = (line for line in content.decode("utf-8-sig", "replace").split("\n") if line.strip())
        found = [exact.parse(line) for line in islice(lines, _ROWS)]
    rows = tuple(row for row in found[:_ROWS] if isinstance(row, dict))
    if found and not rows:
        raise ValueError("it holds no objects")
    return replace(file, rows=rows)


def _parquet(file: _File) -> _File:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as opened:
            columns = tuple(_arrow(field) for field in opened.schema_arrow)
            batch = next(opened.iter_batches(_ROWS), None)
            found = batch.to_pylist() if batch is not None else []
    except (pa.ArrowException, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"it is damaged: {error}") from None
    return replace(file, columns=columns, rows=tuple(plain(row) for row in found))


def _arrow(field: Any) -> FoundColumn:
    import pyarrow.types as is_

    type_ = field.type.value_type if is_.is_dictionary(field.type) else field.type
    kinds = {
        "boolean": is_.is_boolean, "integer": is_.is_integer, "number": is_.is_floating, "date": is_.is_date,
        "timestamp": is_.is_timestamp, "object": is_.is_struct,
        "array": lambda t: is_.is_list(t) or is_.is_large_list(t) or is_.is_fixed_size_list(t),
    }  # fmt: skip
    required = not field.nullable
    if is_.is_decimal(type_) and 0 <= type_.scale <= type_.precision <= 38:
        column = Column(field.name, "number", required, precision=type_.precision, scale=type_.scale)
    else:
        logical = next((logical for logical, fits in kinds.items() if fits(type_)), "string")
        column = Column(field.name, logical, required)
    return FoundColumn(column, "" if column.is_decimal else str(field.type))
