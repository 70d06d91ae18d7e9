"""A change's place in its source's own order, as a string that sorts: greater is later, for one source.

Within one database transaction several changes may share a position (MariaDB 11.4 gives all events of a transaction one
binlog position; PostgreSQL's change of a key is a delete and a create at one LSN). The order of one key's changes is
therefore (position, offset): a key stays on one partition, and a connector writes in the order of the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

INCREMENTAL = "incremental"  # `snapshot` of rows that were read chunk by chunk, at moments of their own


def positioner(kind: str) -> Callable[[dict[str, Any]], str]:
    """The function that reads a position from a change (its `op` and its `source` block), for a kind of source.

    It raises KeyError, TypeError or ValueError when the change has none.
    """
    return {"postgresql": _lsn, "mariadb": _binlog}.get(kind, _pull)


def transactioner(kind: str) -> Callable[[dict[str, Any]], str | None]:
    """The function that reads the source's own name of the transaction that made a change; None when it has none."""
    return {"postgresql": _xid, "mariadb": _gtid}.get(kind, lambda source: None)


def _xid(source: dict[str, Any]) -> str | None:
    xid = source.get("txId")
    return None if xid is None else str(xid)


def _gtid(source: dict[str, Any]) -> str | None:
    gtid = source.get("gtid")
    return gtid if type(gtid) is str else None


def _lsn(change: dict[str, Any]) -> str:
    """The change's LSN, but not before the last commit that the connector had passed when it wrote the change.

    A transaction that was open when the snapshot was taken and committed later has changes with LSNs below the
    snapshot's, and in the first one the connector has passed no commit yet: by LSNs they would lose against the
    snapshot's rows, which don't have them. What is streamed was committed behind the snapshot, always; so its rows
    come before all changes of their epoch, and in the order of its attempts.

    A row of an incremental snapshot has no LSN of its own, only the last commit that was passed when its chunk's window
    was closed. Every change that its chunk may lack comes behind that commit; the window's own changes replace rows.

    `op` tells the rows of a snapshot, not `snapshot`: a connector that was killed amid the chunks of an incremental one
    says "true" there of the changes that it streams next.
    """
    source = change["source"]
    if source.get("snapshot") == INCREMENTAL:
        if not (passed := _last_commit(source)):
            raise ValueError("a row of an incremental snapshot before any commit")
        return f"{passed:020d}/"
    lsn = source["lsn"]
    if change["op"] == "r":
        return f"{0:020d}/{lsn:020d}"
    return f"{max(lsn, _last_commit(source)):020d}/{lsn:020d}"


def _last_commit(source: dict[str, Any]) -> int:
    """The first half of Debezium's `sequence`: ["last commit's LSN", "LSN"] as text; 0 when it has none yet."""
    sequence = source.get("sequence")
    last = json.loads(sequence)[0] if isinstance(sequence, str) else None
    return int(last) if last else 0


def _binlog(change: dict[str, Any]) -> str:
    source = change["source"]
    return f"{int(source['file'].rpartition('.')[2]):010d}/{source['pos']:020d}"


def _pull(change: dict[str, Any]) -> str:
    source = change["source"]
    return f"{source['pull']:012d}/{source['row']:012d}"
