"""What was written: rows and events by table and kind."""

from __future__ import annotations

from collections import Counter
from threading import Lock


class Counts:
    """A counter several services write to."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def add(self, table: str, kind: str, number: int = 1) -> None:
        if not number:
            return
        with self._lock:
            self._counts[table, kind] += number

    @property
    def changes(self) -> int:
        """Rows inserted, updated and deleted, and messages sent."""
        return sum(self._counts.values())

    def of(self, table: str, kind: str) -> int:
        return self._counts[table, kind]

    def lines(self) -> list[str]:
        """One line per table: 'orders: 10 inserted, 28 updated'."""
        tables: dict[str, list[str]] = {}
        for (table, kind), number in sorted(self._counts.items()):
            tables.setdefault(table, []).append(f"{number:,} {kind}")
        return [f"{table + ':':18}{', '.join(kinds)}" for table, kinds in tables.items()]

    def rows(self) -> dict[str, dict[str, int]]:
        """table → kind → number."""
        made: dict[str, dict[str, int]] = {}
        for (table, kind), number in sorted(self._counts.items()):
            made.setdefault(table, {})[kind] = number
        return made
