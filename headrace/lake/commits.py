"""What Spark's commits say about themselves, read without Spark: the state that each commit of Headrace carries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

FIELD = "headrace"
_RECENT = 20


@dataclass(frozen=True)
class Stored:
    """A table's newest version, and what Headrace's newest commit to it recorded ({} when it is not to be found)."""

    version: int
    state: dict[str, Any]


def stored(path: str) -> Stored | None:
    """The newest version of the Delta table at `path` and Headrace's state in it; None when there is no such table.

    Commits of others (compaction, for example) carry no state and are passed over. When the log no longer holds a
    commit with a state (it is kept for 30 days), the state is {}: then the caller builds the table anew.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return None
    for limit in (_RECENT, None):
        for commit in table.history(limit):
            state = _state(commit.get("userMetadata"))
            if state is not None:
                return Stored(table.version(), state)
    return Stored(table.version(), {})


def state_at(path: str, version: int) -> dict[str, Any] | None:
    """What Headrace recorded with one version of a table; None when the log no longer holds that commit, or it was
    somebody else's."""
    from deltalake import DeltaTable

    for commit in DeltaTable(path).history():
        if commit.get("version") == version:
            return _state(commit.get("userMetadata"))
    return None


def files(path: str) -> int:
    """How many data files the newest version of a table has."""
    from deltalake import DeltaTable

    return len(DeltaTable(path).file_uris())


def metadata(state: dict[str, Any]) -> str:
    """The text for a commit's userMetadata."""
    return json.dumps({FIELD: state}, separators=(",", ":"))


def _state(text: object) -> dict[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    state = value.get(FIELD) if isinstance(value, dict) else None
    return state if isinstance(state, dict) else None
