"""What the pulse keeps an eye on besides positions: the project's files, and which parts answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
_WATCHED = ("lake/sources", "schemas", "jobs/batch", "jobs/stream")


class Files:
    """Tells when a file of the project was written, added or taken away."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen = self._state()

    def changed(self) -> bool:
        """Whether anything changed since the last call."""
        state = self._state()
        changed, self._seen = state != self._seen, state
        return changed

    def _state(self) -> frozenset[tuple[str, int, int]]:
        found = []
        for folder in _WATCHED:
            try:
                found += [(e.path, e.stat().st_mtime_ns, e.stat().st_size) for e in os.scandir(self.root / folder)]
            except OSError:
                continue  # a folder that isn't there, or a file that went while we looked
        settings = self.root / "headrace.yml"
        return frozenset([*found, (str(settings), settings.stat().st_mtime_ns if settings.exists() else 0, 0)])


class Parts:
    """Runs what may fail because a part is away, and logs one line per change of that state, not one per failure."""

    def __init__(self, log: Callable[[str], None] | None = None) -> None:
        self.log = log or _print
        self._away: dict[str, str] = {}

    def attempt(self, part: str, action: Callable[[], Result]) -> Result | None:
        """The action's result, or None when it raised; any exception counts, since the pulse must outlive all parts."""
        try:
            result = action()
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].strip()
            if self._away.get(part) is None:
                self.log(f"{part}: {reason}")
            self._away[part] = reason
            return None
        if self._away.pop(part, None) is not None:
            self.log(f"{part}: works again")
        return result

    def well(self, part: str) -> bool:
        return part not in self._away


def _print(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} pulse: {text}", flush=True)
