"""Landing and quarantine tables: opened, appended to exactly once, compacted, never changed.

Each commit carries, per partition of the topic, an application transaction `topic id:partition` whose version is the next
offset. A commit is compare-and-set on those versions (CORRECTNESS 6): they are read from the handle that commits, so a
member that lost its partition cannot append a range a second time, whether its handle is old or was opened again.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from headrace.errors import HeadraceError
from headrace.lake import paths, rows
from headrace.project import Project

TOPIC_ID = "headrace.topicId"
_WRITER = WriterProperties(compression="ZSTD", compression_level=1)


class Stale(Exception):
    """Somebody else has moved the table's position: discard the batch, seek to the stored position, never retry."""


def open_landing(project: Project, table: str, topic_id: str) -> DeltaTable:
    """The landing table of a topic, created when missing. Raises HeadraceError when it belongs to another topic id."""
    return _open(paths.landing(project, table), rows.LANDING, rows.STATISTICS, topic_id, table)


def open_quarantine(project: Project, table: str) -> DeltaTable:
    """The quarantine of a table, created when missing."""
    return _open(paths.quarantine(project, table), rows.QUARANTINE, rows.QUARANTINE_STATISTICS, "", table)


def stored(handle: DeltaTable, topic_id: str, partition: int) -> int:
    """The next offset to land, as this handle sees it; 0 for a partition that never landed anything.

    Raises HeadraceError when the partition has landed rows but no stored position: starting at 0 would land them twice.
    """
    version = handle.transaction_version(_app(topic_id, partition))
    if version is not None:
        return version
    if _has_rows(handle, partition):
        message = f"{handle.table_uri} holds rows of partition {partition} but no position for topic id {topic_id}"
        raise HeadraceError(message, hint="the table's log was altered from outside; restore it before landing goes on")
    return 0


def append(handle: DeltaTable, data: pa.Table, topic_id: str, moves: Mapping[int, tuple[int, int]]) -> None:
    """Appends one batch and moves the positions of its partitions, all or nothing.

    `moves` is partition → (offset the batch starts at, next offset after it). Raises Stale, with nothing written, when
    the stored position of a partition is not the batch's start or when somebody else commits meanwhile. Exactly once:
    whoever sees Stale reads `stored` again from a refreshed handle and reads the topic from there.
    """
    for partition, (start, _) in moves.items():
        found = stored(handle, topic_id, partition)
        if found != start:
            raise Stale(f"partition {partition}: the batch starts at {start}, the table stands at {found}")
    _commit(handle, data, topic_id, {p: after for p, (_, after) in moves.items()})


def append_quarantine(handle: DeltaTable, data: pa.Table, topic_id: str, nexts: Mapping[int, int]) -> int:
    """Appends rejected rows that are not there yet; returns how many. Commits its own positions, before landing does.

    A batch that is read again after a crash finds its positions stored here and appends nothing twice. Raises Stale when
    somebody else commits meanwhile.
    """
    known = {p: handle.transaction_version(_app(topic_id, p)) or 0 for p in nexts}
    for partition, at in known.items():
        here = pc.and_(pc.equal(data["partition"], partition), pc.less(data["offset"], at))
        data = data.filter(pc.invert(here))
    if data.num_rows:
        _commit(handle, data, topic_id, {p: max(at, known[p]) for p, at in nexts.items()})
    return data.num_rows


def refresh(handle: DeltaTable) -> None:
    """Lets the handle see what others have committed."""
    handle.update_incremental()


def positions(project: Project, table: str) -> dict[int, int]:
    """Partition → next offset landed; partitions that never landed anything are absent, and all are when nothing landed.

    Everything below a position is either in landing or in quarantine.
    """
    try:
        handle = DeltaTable(paths.landing(project, table))
    except TableNotFoundError:
        return {}
    topic_id = handle.metadata().configuration.get(TOPIC_ID, "")
    found: dict[int, int] = {}
    for partition in count():
        version = handle.transaction_version(_app(topic_id, partition))
        if version is not None:
            found[partition] = version
        elif partition > max(found, default=-1) + 64:  # partitions may start out of order, but not that far apart
            return found
    raise AssertionError


def exists(address: str) -> bool:
    """Whether there is a Delta table at the address."""
    return DeltaTable.is_deltatable(address)


def compact(address: str) -> dict[str, Any]:
    """Merges small files into large ones without changing a row (dataChange=false); safe beside a running worker."""
    handle = DeltaTable(address)
    result = handle.optimize.compact(writer_properties=_WRITER)
    if result["numFilesRemoved"]:
        handle.create_checkpoint()
    return {"files_before": result["numFilesRemoved"], "files_after": result["numFilesAdded"]}


def last_landed(project: Project, table: str) -> int | None:
    """When the table last landed anything, in milliseconds since 1970; None when never."""
    try:
        history = DeltaTable(paths.landing(project, table)).history(20)
    except TableNotFoundError:
        return None
    return next((h["timestamp"] for h in history if h["operation"] == "WRITE"), None)


def _open(address: str, schema: pa.Schema, statistics: str, topic_id: str, table: str) -> DeltaTable:
    try:
        handle = DeltaTable(address)
    except TableNotFoundError:
        configuration = {"delta.appendOnly": "true", "delta.dataSkippingStatsColumns": statistics}
        if topic_id:
            configuration[TOPIC_ID] = topic_id
        handle = DeltaTable.create(
            address, schema, mode="ignore", partition_by=["landing_date"], configuration=configuration, raise_if_key_not_exists=False
        )
    known = handle.metadata().configuration.get(TOPIC_ID, "")
    if known != topic_id:
        message = f"table {table!r} was landed from another topic (id {known}, now {topic_id}): the topic was deleted and made anew"
        raise HeadraceError(message, hint=f"its rows are safe; move {address} away to land the new topic from its start")
    return handle


def _commit(handle: DeltaTable, data: pa.Table, topic_id: str, nexts: Mapping[int, int]) -> None:
    transactions = [Transaction(_app(topic_id, p), at) for p, at in nexts.items()]
    properties = CommitProperties(app_transactions=transactions)
    try:
        if data.num_rows:
            write_deltalake(handle, data, mode="append", writer_properties=_WRITER, commit_properties=properties)
        else:
            handle.create_write_transaction([], "append", data.schema, ["landing_date"], commit_properties=properties)
            handle.update_incremental()
    except CommitFailedError as error:
        raise Stale(str(error)) from error


def _app(topic_id: str, partition: int) -> str:
    return f"{topic_id}:{partition}"


def _has_rows(handle: DeltaTable, partition: int) -> bool:
    files = pa.table(handle.get_add_actions(flatten=True))
    if not files.num_rows:
        return False
    low, high = pc.min(files["min.partition"]).as_py(), pc.max(files["max.partition"]).as_py()
    if low is not None and not low <= partition <= high:
        return False
    dataset = handle.to_pyarrow_dataset()
    return dataset.head(1, columns=["offset"], filter=pc.field("partition") == partition).num_rows > 0
