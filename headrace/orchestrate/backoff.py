"""How often something that does not help is tried again: ever more rarely, and at once when it is new."""

from __future__ import annotations

import time
from collections.abc import Container

APART = 60.0  # seconds between two starts of one job with the same code; twice as long after each that did not help
LONGEST = 3600.0


class Backoff:
    """Remembers starts by (job, code)."""

    def __init__(self) -> None:
        self._tried: dict[tuple[str, str], tuple[float, float]] = {}  # → when, and seconds to wait since

    def only(self, names: Container[str]) -> None:
        """Forgets all other jobs: they run."""
        self._tried = {key: known for key, known in self._tried.items() if key[0] in names}

    def rested(self, name: str, code: str) -> bool:
        at, wait = self._tried.get((name, code), (0.0, 0.0))
        return time.monotonic() - at > wait

    def tried(self, name: str, code: str) -> None:
        before = self._tried.get((name, code), (0.0, APART / 2))[1]
        self._tried[name, code] = (time.monotonic(), min(2 * before, LONGEST))
