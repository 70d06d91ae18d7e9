"""Folders of files: each new or changed file is pulled once, in order of names."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from headrace.project import Table
from headrace.pulls.files import READERS, unfinished
from headrace.pulls.json_files import is_array
from headrace.pulls.pulled import Line, Report, State

_FRESH = 10.0  # seconds: a file changed since, whose last line has no end, is taken to be still being written


def steps(folder: Path, table: Table, state: State, report: Report) -> Iterator[tuple[Iterator[Line], State]]:
    """One step per new or changed file. What can't be read now is named in `report` and stays to be pulled.

    A file is known by name and content, so touching it changes nothing; a changed file is pulled whole.
    """
    try:
        there = folder.is_dir()
        if there:
            next(os.scandir(folder), None)  # glob finds nothing, without a word, in a folder that it may not read
    except OSError as error:
        report.skipped.append(f"{folder}: {_said(error)}")
        return
    if not there:
        report.skipped.append(f"{folder} is not a folder")
        return
    for path in sorted(p for p in folder.glob(table.origin) if not unfinished(p.name)):
        # A name that is not UTF-8 is written so that the bus and its reader can have it.
        name = os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                raise _Unsettled("a link that leads out of the folder is not read")
            content = _settled(path, table.format)
        except OSError as error:
            report.skipped.append(f"{path}: {_said(error)}")
            continue
        except _Unsettled as error:
            report.skipped.append(f"{path}: {error}")
            continue
        digest = hashlib.sha256(content).hexdigest()[:32]
        if state.files.get(name) == digest:
            continue
        try:
            lines = READERS[table.format](content, table.contract, name)
        except ValueError as error:
            report.skipped.append(f"{path}: {error}")
            continue
        state = state.next(files=state.files | {name: digest})
        yield lines, state


class _Unsettled(Exception):
    """The file is being written, or is none to read."""


def _said(error: OSError) -> str:
    hint = ", let the user that Headrace runs as read it" if isinstance(error, PermissionError) else ""
    return f"{(error.strerror or str(error)).lower()}{hint}"


def _settled(path: Path, format: str) -> bytes:
    """The content of a file that nobody is writing to, as far as can be seen."""
    if not path.is_file():
        raise _Unsettled("not a file")
    before = path.stat()
    content = path.read_bytes()
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != after.st_size:
        raise _Unsettled("it is being written")
    if time.time() - after.st_mtime < _FRESH and not _ended(content, format):
        raise _Unsettled(f"its end is missing and it was written to less than {_FRESH:.0f} s ago")
    return content


def _ended(content: bytes, format: str) -> bool:
    """Whether it looks complete. A Parquet file needs no look: without its footer its reader refuses it."""
    if format == "json" and is_array(content):
        return content.rstrip().endswith(b"]")
    return format == "parquet" or content.rstrip(b" \t").endswith((b"\n", b"\r"))
