"""What commits say about themselves, read without Spark: the state that Headrace put into them, and who wrote them."""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.lake.travel import time_of

FIELD = "headrace"
BY = "headrace.by"
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


def metadata(state: dict[str, Any], what: str) -> str:
    """The text for a commit's userMetadata: the state, and who writes it. `what` says which part of Headrace does."""
    return json.dumps({FIELD: state, BY: by(what)}, separators=(",", ":"))


def by(what: str) -> dict[str, Any]:
    """Who writes: a part of Headrace, and the process and account that it runs as."""
    return {"what": what, "user": _user(), "host": socket.gethostname(), "pid": os.getpid()}


def properties(state: dict[str, Any], what: str) -> dict[str, str]:
    """As metadata, for a commit by delta-rs."""
    return {FIELD: json.dumps(state), BY: json.dumps(by(what))}


@dataclass(frozen=True)
class Commit:
    """One commit of a table's log. `by` is what `by()` recorded, {} for a commit of others or of an earlier Headrace;
    `state` is what it recorded with its rows: positions (partition → next offset), for a view also the run's inputs."""

    version: int
    time: datetime
    operation: str
    rows: int | None
    by: dict[str, Any]
    engine: str
    state: dict[str, Any]


def history(path: str, limit: int | None = None) -> list[Commit]:
    """The commits of a Delta table, the newest first; raises deltalake's TableNotFoundError when there is none."""
    from deltalake import DeltaTable

    return [_commit(commit) for commit in DeltaTable(path).history(limit)]


def _commit(commit: dict[str, Any]) -> Commit:
    # Spark keeps our text in userMetadata, delta-rs each value under its own name.
    said = _object(commit.get("userMetadata")) or {n: _object(commit.get(n)) for n in (FIELD, BY)}
    metrics = commit.get("operationMetrics") or {}
    rows = next((metrics[n] for n in ("num_added_rows", "numOutputRows") if metrics.get(n) is not None), None)
    return Commit(
        int(commit["version"]),
        time_of(commit),
        str(commit.get("operation", "")),
        None if rows is None else int(rows),
        said.get(BY) or {},
        str(commit.get("engineInfo", "")),
        said.get(FIELD) or {},
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return str(os.getuid())


def _state(text: object) -> dict[str, Any] | None:
    state = _object(text).get(FIELD)
    return state if isinstance(state, dict) else None


def _object(text: object) -> dict[str, Any]:
    """A JSON object; {} for anything else."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
