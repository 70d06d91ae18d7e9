"""Two sides of a table compared by buckets, and key by key only where a bucket differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.audit.source_side import Buckets, Rows

Key = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What two sides have and where they differ: `missing` on the right, `extra` on the right, `different` on both.

    `quarantined` keys are neither: their newest row broke the contract and is kept with its reason.
    """

    rows: int  # on the left
    checksum: str
    missing: tuple[Key, ...] = ()
    extra: tuple[Key, ...] = ()
    different: tuple[Key, ...] = ()
    quarantined: tuple[Key, ...] = ()

    @property
    def equal(self) -> bool:
        return not (self.missing or self.extra or self.different)


@dataclass
class Side:
    """One side: its buckets, and a way to look into some of them."""

    buckets: Buckets
    rows: Callable[[set[int]], Rows]
    rejected: Callable[[set[int]], set[Key]] = field(default=lambda buckets: set())


def compare(left: Side, right: Side) -> Comparison:
    """Compares the sides. Rows of a bucket are read only when its count or sum differs."""
    total = sum(count for count, _ in left.buckets.values())
    checksum = f"{sum(sum_ for _, sum_ in left.buckets.values()) % (1 << 64):016x}"
    suspect = {b for b in left.buckets.keys() | right.buckets.keys() if left.buckets.get(b) != right.buckets.get(b)}
    if not suspect:
        return Comparison(total, checksum)
    ours, theirs, rejected = left.rows(suspect), right.rows(suspect), right.rejected(suspect)
    missing = ours.keys() - theirs.keys()
    return Comparison(
        total,
        checksum,
        tuple(sorted(missing - rejected)),
        tuple(sorted(theirs.keys() - ours.keys())),
        tuple(sorted(key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key])),
        tuple(sorted(missing & rejected)),
    )
