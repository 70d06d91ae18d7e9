"""What a pull hands on, and what it must remember for the next one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Line:
    """One row of a file or query; `row` is its bytes when it could not be read, and `error` says why."""

    number: int
    row: dict[str, Any] | bytes
    error: str = ""
    file: str | None = None
    ts_ms: int = 0
    gone: bool = False  # deleted at its source; `row` is its key


@dataclass(frozen=True)
class State:
    """How far a table was pulled. Kept as the newest record of its key on topic headrace.pulls."""

    pull: int = 0  # number of the last step; positions of its rows begin with it
    files: dict[str, str] = field(default_factory=dict)  # name → digest of the content that was pulled
    watermark: Any = None  # the greatest value that was pulled, as JSON
    boundary: dict[str, str] = field(default_factory=dict)  # key → digest of the rows that have exactly that value
    # What the last step changed on the table's own topic (topics.delivered): record → value, None where it goes.
    parts: dict[str, bytes | None] = field(default_factory=dict)

    def next(self, **changes: Any) -> State:
        """The state after one more step."""
        return replace(self, pull=self.pull + 1, **changes)

    def to_json(self) -> dict[str, Any]:
        return {"pull": self.pull, "files": self.files, "watermark": self.watermark, "boundary": self.boundary}

    @staticmethod
    def from_json(value: dict[str, Any]) -> State:
        return State(value["pull"], value["files"], value["watermark"], value["boundary"])


@dataclass
class Report:
    """What a pull could not read this time."""

    skipped: list[str] = field(default_factory=list)
