"""Rows on disk until it is known whether they are sent: a table may be larger than the memory."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from collections.abc import Container, Iterator
from types import TracebackType

import orjson

from headrace.pulls.pulled import Line


class Spool:
    """Lines in a nameless file of this process, with the sum of their digests: the same in whatever order they come."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0
        self._file = tempfile.TemporaryFile(prefix="headrace-pull-")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @property
    def digest(self) -> str:
        """Known by it: how many lines, and which."""
        return f"{self.count}:{self._sum:032x}"

    def add(self, line: Line) -> str:
        """Keeps a line and returns its own digest."""
        data = line.row if isinstance(line.row, bytes) else orjson.dumps(line.row, option=orjson.OPT_SORT_KEYS)
        found = hashlib.sha256(data).digest()[:16]
        self.count += 1
        self._sum = (self._sum + int.from_bytes(found, "big")) % 2**128
        pickle.dump((found.hex(), line), self._file, protocol=5)
        return found.hex()

    def lines(self, without: Container[str] = ()) -> Iterator[Line]:
        """The lines in order, less those whose digest is in `without`."""
        self._file.seek(0)
        for _ in range(self.count):
            digest, line = pickle.load(self._file)
            if digest not in without:
                yield line
