"""Decisions about quarantined rows: an append-only Delta table beside each quarantine."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from deltalake import write_deltalake

from headrace.lake import paths, rows
from headrace.lake.letters import Letter
from headrace.project import Project


def drop(project: Project, letters: list[Letter], reason: str, who: str) -> int:
    """Records that the rows are given up, and why; returns how many. Their bytes stay in quarantine.

    One commit per quarantine. A decision that is recorded twice counts once; the caller passes open rows only.
    """
    now = datetime.now(UTC)
    for table in sorted({letter.table for letter in letters}):
        decided = [
            {
                "topic": letter.topic,
                "partition": letter.partition,
                "offset": letter.offset,
                "appended_at": letter.appended_at,
                "reason": reason,
                "who": who,
                "decided_at": now,
            }
            for letter in letters
            if letter.table == table
        ]
        write_deltalake(
            paths.decisions(project, table),
            pa.Table.from_pylist(decided, schema=rows.DECISIONS),
            mode="append",
            configuration={"delta.appendOnly": "true"},
        )
    return len(letters)
