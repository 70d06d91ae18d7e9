"""Quality checks: what a contract says about its rows together (quality_file.py reads them from `schemas/*.yaml`)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace

from headrace.errors import Place

SEVERITIES = ("error", "warning", "info")  # error: readers keep the old view while the check fails
BLOCKING = "error"


@dataclass(frozen=True)
class Check:
    """One rule. `kind` is a metric of the standard (nullValues, missingValues, invalidValues, duplicateValues,
    rowCount) or one of ours: freshness, rowCountChange, references."""

    name: str
    kind: str
    place: Place = field(compare=False)
    columns: tuple[str, ...] = ()
    severity: str = "warning"
    description: str = ""
    implied: bool = False  # it follows from `required`, `unique` or the key, and nobody wrote it as a check
    allowed: float = 0.0  # rows that may break it, or percent of them
    percent: bool = False
    strict: bool = False  # fewer than `allowed`, not as many
    low: object = None  # of values, or of the number of rows; in percent for rowCountChange
    high: object = None
    values: tuple[object, ...] = ()  # valid ones; for missingValues, the ones that mean nothing
    pattern: str = ""
    seconds: float = 0.0  # freshness: the newest row is at most so old
    references: tuple[str, str] = ("", "")  # table and column

    @property
    def blocking(self) -> bool:
        return self.severity == BLOCKING

    @property
    def lasting(self) -> bool:
        """Whether the same version of the table always gives the same answer: no clock and no other table in it."""
        return self.kind not in {"freshness", "references"}

    @property
    def definition(self) -> str:
        """Changes when the check means something else."""
        meaning = replace(self, place=Place(self.place.path.parent), description="", severity="", implied=False)
        return hashlib.sha256(repr(meaning).encode()).hexdigest()[:16]

    def limit(self, size: int) -> int:
        """How many of `size` rows may break the rule."""
        bound = size * self.allowed / 100 if self.percent else self.allowed
        return max(0, math.ceil(bound - 1e-9) - 1) if self.strict else math.floor(bound + 1e-9)
