"""What the bus has acknowledged, line by line: the truth that a test compares the lake with."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Ledger:
    """An append-only file of JSON lines. A line is written only after the broker acknowledged the message.

    Each line says topic, partition, offset, kind (event, late, very late, repeat, malformed) and the bytes sent.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._lines: list[bytes] = []

    def add(self, topic: str, partition: int, offset: int, kind: str, value: bytes) -> None:
        line = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "kind": kind,
            "value": base64.b64encode(value).decode(),
        }
        self._lines.append(json.dumps(line).encode() + b"\n")

    def write(self) -> None:
        """Writes what was added, whole lines at once, so that two generators can share the file."""
        lines, self._lines = self._lines, []
        if lines:
            os.write(self._file, b"".join(lines))

    def close(self) -> None:
        self.write()
        os.close(self._file)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a ledger, with `value` as the bytes that were sent."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for text in file:
            line = json.loads(text)
            line["value"] = base64.b64decode(line["value"])
            yield line
