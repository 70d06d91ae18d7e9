"""Differences that quarantine explains: a row too large to land, for example, is in the source and not in landing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from headrace.audit.comparison import Comparison, Key

if TYPE_CHECKING:
    from headrace.project import Project, Table


class Landed(Protocol):
    """The landed side of a comparison."""

    def newest(self, keys: list[Key]) -> dict[Key, tuple[int, int]]:
        """Key → partition and offset of its newest landed change."""
        ...


def explained(project: Project, table: Table, found: Comparison, folded: Landed) -> Comparison:
    """Moves keys to `quarantined` whose newest message was rejected as a whole, after everything that landed of it."""
    unclear = [*found.missing, *found.different, *found.extra]
    if not unclear:
        return found
    newest = folded.newest(unclear)
    rejected = {key for key, at in _rejected(project, table).items() if key not in newest or at > newest[key]} & set(
        unclear
    )
    if not rejected:
        return found
    return replace(
        found,
        missing=tuple(k for k in found.missing if k not in rejected),
        different=tuple(k for k in found.different if k not in rejected),
        extra=tuple(k for k in found.extra if k not in rejected),
        quarantined=tuple(sorted({*found.quarantined, *rejected})),
    )


def _rejected(project: Project, table: Table) -> dict[Key, tuple[int, int]]:
    """Key → partition and offset of its newest rejected message, where the message says its key."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    from headrace.lake import paths

    try:
        quarantine = DeltaTable(paths.quarantine(project, table.name))
    except TableNotFoundError:
        return {}
    found: dict[Key, tuple[int, int]] = {}
    columns = ["raw_key", "partition", "offset"]
    for row in quarantine.to_pyarrow_dataset().to_table(columns=columns).to_pylist():
        key = _key(table, row["raw_key"])
        if key:
            at = (row["partition"], row["offset"])
            found[key] = max(at, found.get(key, at))
    return found


def _key(table: Table, raw: bytes | None) -> Key | None:
    try:
        value: Any = orjson.loads(raw or b"")
        return tuple(str(value[name]) for name in table.contract.key)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
