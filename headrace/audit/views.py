"""Certificates of views: what readers see equals the job computed once more from the same inputs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from headrace.audit.verdict import PROVEN, UNEQUAL, UNPROVEN
from headrace.batch.recompute import recomputed
from headrace.errors import HeadraceError
from headrace.live import audit as live
from headrace.project import Job, Project
from headrace.serve import ops
from headrace.serve.database import connect, locked
from headrace.serve.verify import Verified, verify


@dataclass(frozen=True)
class ViewCertificate:
    """The result for one batch view; `verified` is None when it could not be compared, and `note` says why."""

    view: str
    seconds: float
    verified: Verified | None = None
    position: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.verified is None:
            return UNPROVEN
        return UNEQUAL if self.verified.missing or self.verified.extra else PROVEN

    @property
    def name(self) -> str:
        return self.view

    def differences(self) -> dict[str, list[str]]:
        """Kind → examples of rows, as JSON."""
        found = self.verified
        sides = {"missing in the view": found.missing, "extra in the view": found.extra} if found else {}
        return {what: list(rows) for what, rows in sides.items() if rows}

    def summary(self) -> dict[str, Any]:
        """One line for people."""
        found = self.verified
        return {
            "source": "batch view",
            "table": self.view,
            "verdict": self.verdict,
            "rows": found.rows if found else None,
            "missing": len(found.missing) if found else None,
            "extra": len(found.extra) if found else None,
            "seconds": round(self.seconds, 1),
            "note": self.note,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for ops.certificates."""
        found = self.verified
        return {
            "source": "batch view",
            "table_name": self.view,
            "verdict": self.verdict,
            "position": self.position,
            "rows": found.rows if found else None,
            "checksum": None,
            "quarantined": None,
            "differences": self.differences(),
            "note": self.note,
            "seconds": self.seconds,
        }


def audit_view(project: Project, job: Job) -> ViewCertificate:
    """Computes a batch view again from the versions that its published run read, and compares every row; of a live
    view its batch side, at its cut.

    Guarantee: 'proven' means that the rows in the serving database are exactly those. Publishing waits meanwhile.
    """
    began = time.monotonic()
    with locked(project, f"view {job.name}"), connect(project) as connection:
        published = ops.published(connection, job.name)
        if published is None:
            return ViewCertificate(job.name, 0.0, note="never published")
        position = f"run {published.run_id}"
        try:
            if job.live:
                found, position = live.audit(project, job)
                return ViewCertificate(job.name, time.monotonic() - began, found, position)
            with recomputed(project, job, published) as table:
                found = verify(project, job.name, table, published.run_id)
        except HeadraceError as error:
            note = "; ".join(problem.message for problem in error.problems)
            return ViewCertificate(job.name, time.monotonic() - began, position=position, note=note)
        return ViewCertificate(job.name, time.monotonic() - began, found, position)
