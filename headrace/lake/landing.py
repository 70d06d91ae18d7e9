"""Landing and quarantine tables: opened, appended to exactly once, compacted, never changed.

Each commit carries, per partition of the topic, an application transaction `topic id:partition` whose version is the
next offset. A commit is compare-and-set on those versions (CORRECTNESS 6): they are read from the handle that commits,
so a member that lost its partition cannot append a range a second time, whether its handle is old or was opened again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake import Field as DeltaField
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from headrace.errors import HeadraceError
from headrace.lake import commits, paths, rows
from headrace.project import Project

TOPIC_ID = "headrace.topicId"
PARTITIONS = "headrace.partitions"  # of the topic, so that positions are found without asking the bus
WRITER = "landing worker"
_DATA = ":data"  # a second position per partition: markers left out
_WRITER = WriterProperties(compression="ZSTD", compression_level=1)


class Stale(Exception):
    """Somebody else has moved the table's position: discard the batch, seek to the stored position, never retry."""


def open_landing(project: Project, table: str, topic_id: str, partitions: int) -> DeltaTable:
    """The landing table of a topic, created when missing. Raises HeadraceError when it belongs to another topic id."""
    properties = {TOPIC_ID: topic_id, PARTITIONS: str(partitions)}
    address = paths.landing(project, table)
    handle = _open(address, rows.LANDING, rows.STATISTICS, properties)
    known = handle.metadata().configuration
    if known.get(TOPIC_ID) != topic_id:
        message = f"table {table!r} was landed from another topic (id {known.get(TOPIC_ID)}, now {topic_id})"
        hint = f"the topic was deleted and made anew. Landed rows are safe: move {address} away to land the new topic"
        raise HeadraceError(message, hint=hint)
    if int(known.get(PARTITIONS, "0")) < partitions:
        handle.alter.set_table_properties({PARTITIONS: str(partitions)}, raise_if_not_exists=False)
    return handle


def open_quarantine(project: Project, table: str) -> DeltaTable:
    """The quarantine of a table, created when missing. One may hold rows of several topics (paths.UNKNOWN does)."""
    return _open(paths.quarantine(project, table), rows.QUARANTINE, rows.QUARANTINE_STATISTICS, {})


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


def newest(handle: DeltaTable, topic_id: str, partition: int) -> tuple[str, str, str] | None:
    """Position, op and key of the partition's newest row that is not a marker; None when it has none."""
    end = handle.transaction_version(_app(topic_id, partition) + _DATA) or 0
    dataset, span = handle.to_pyarrow_dataset(), 1
    while end > 0:  # more than once only behind a marker that says that a snapshot is complete
        low = max(0, end - span)
        there = (pc.field("partition") == partition) & (pc.field("offset") >= low) & (pc.field("offset") < end)
        found = dataset.to_table(["position", "op", "key", "offset"], filter=there & (pc.field("op") != "m"))
        if found.num_rows:
            row = max(found.to_pylist(), key=lambda r: r["offset"])
            return row["position"], row["op"], row["key"]
        end, span = low, span * 64
    return None


def append(handle: DeltaTable, data: pa.Table, topic_id: str, moves: Mapping[int, tuple[int, int]]) -> None:
    """Appends one batch and moves the positions of its partitions, all or nothing.

    `moves` is partition → (offset the batch starts at, next offset after it). Raises Stale, with nothing written, when
    the stored position of a partition is not the batch's start or when somebody else commits meanwhile. Exactly once:
    whoever sees Stale opens the table again and reads the topic from the position `stored` there.
    """
    for partition, (start, _) in moves.items():
        found = stored(handle, topic_id, partition)
        if found != start:
            raise Stale(f"partition {partition}: the batch starts at {start}, the table stands at {found}")
    nexts = {p: after for p, (_, after) in moves.items()}
    transactions = {_app(topic_id, p): after for p, after in nexts.items()} | _after_data(data, topic_id)
    _commit(handle, data, transactions, nexts)


def append_quarantine(handle: DeltaTable, data: pa.Table, topic_id: str, nexts: Mapping[int, int]) -> int:
    """Appends rejected rows that are not there yet; returns how many. Commits its own positions, before landing does.

    A batch that is read again after a crash finds its positions stored here and appends nothing twice. Raises Stale
    when somebody else commits meanwhile.
    """
    known = {p: rejected(handle, topic_id, p) for p in nexts}
    for partition, at in known.items():
        here = pc.and_(pc.equal(data["partition"], partition), pc.less(data["offset"], at))
        data = data.filter(pc.invert(here))
    if data.num_rows:
        reached = {p: max(at, known[p]) for p, at in nexts.items()}
        _commit(handle, data, {_app(topic_id, p): at for p, at in reached.items()}, reached)
    return data.num_rows


def rejected(handle: DeltaTable, topic_id: str, partition: int) -> int:
    """The offset after the last batch of the partition that had something to reject; 0 when none had."""
    return handle.transaction_version(_app(topic_id, partition)) or 0


def positions(project: Project, table: str) -> dict[int, int]:
    """Partition → next offset landed; 0 for one that never landed anything, {} when the table was never landed.

    Everything below a position is in landing or in quarantine.
    """
    return _versions(project, table, "")


def data_positions(project: Project, table: str) -> dict[int, int]:
    """Partition → the offset after its last landed row that is not a marker; 0 or {} as with `positions`."""
    return _versions(project, table, _DATA)


def topic_id(project: Project, table: str) -> str | None:
    """The id of the topic that the table is landed from; None when there is no landing table."""
    try:
        return DeltaTable(paths.landing(project, table)).metadata().configuration.get(TOPIC_ID)
    except TableNotFoundError:
        return None


def quarantined(project: Project, table: str) -> int:
    """How many rows of a table were ever rejected, by the log of its quarantine."""
    try:
        files = pa.table(DeltaTable(paths.quarantine(project, table)).get_add_actions(flatten=True))
    except TableNotFoundError:
        return 0
    return int(pc.sum(files["num_records"]).as_py() or 0) if files.num_rows else 0


def compact(address: str) -> dict[str, Any]:
    """Merges small files into large ones without changing a row (dataChange=false); safe beside a running worker."""
    try:
        handle = DeltaTable(address)
    except TableNotFoundError:
        return {"files_before": 0, "files_after": 0}
    said = CommitProperties(custom_metadata=commits.properties({}, "compaction"))
    result = handle.optimize.compact(writer_properties=_WRITER, commit_properties=said)
    if result["numFilesRemoved"]:
        handle.create_checkpoint()
    return {"files_before": result["numFilesRemoved"], "files_after": result["numFilesAdded"]}


def last_landed(project: Project, table: str) -> datetime | None:
    """When rows were last landed into the table; None when never."""
    try:
        handle = DeltaTable(paths.landing(project, table))
    except TableNotFoundError:
        return None
    files = pa.table(handle.get_add_actions(flatten=True))
    newest = pc.max(files["modification_time"]).as_py() if files.num_rows else None
    return None if newest is None else datetime.fromtimestamp(newest / 1000, UTC)


def _open(address: str, schema: pa.Schema, statistics: str, properties: dict[str, str]) -> DeltaTable:
    configuration = {"delta.appendOnly": "true", "delta.dataSkippingStatsColumns": statistics, **properties}
    for attempt in count():
        try:
            return _complete(DeltaTable(address), schema)
        except TableNotFoundError:
            pass
        try:
            DeltaTable.create(
                address,
                schema,
                partition_by=["landing_date"],
                configuration=configuration,
                raise_if_key_not_exists=False,
            )
        except DeltaError:  # another worker has just made it
            if attempt > 2:
                raise
    raise AssertionError


def _complete(handle: DeltaTable, schema: pa.Schema) -> DeltaTable:
    """Adds the columns that a table made by an older version lacks; their old rows are null."""
    there = {field.name for field in handle.schema().fields}
    missing = [DeltaField.from_arrow(field) for field in schema if field.name not in there]
    if missing:
        handle.alter.add_columns(missing)
    return handle


def _commit(handle: DeltaTable, data: pa.Table, transactions: Mapping[str, int], nexts: Mapping[int, int]) -> None:
    properties = CommitProperties(
        # For auditors; the positions that count are the transactions.
        custom_metadata=commits.properties({"positions": {str(p): at for p, at in nexts.items()}}, WRITER),
        app_transactions=[Transaction(app, version) for app, version in transactions.items()],
    )
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


def _after_data(data: pa.Table, topic_id: str) -> dict[str, int]:
    """The transactions that record where the newest rows end that change a current table: markers don't, except those
    that say that a snapshot is complete."""
    whole = pc.fill_null(pc.equal(data["snapshot"], rows.COMPLETE), False)
    changes = pc.or_(pc.not_equal(data["op"], "m"), whole)
    found = data.filter(changes).group_by("partition").aggregate([("offset", "max")])
    return {_app(topic_id, row["partition"]) + _DATA: row["offset_max"] + 1 for row in found.to_pylist()}


def _versions(project: Project, table: str, suffix: str) -> dict[int, int]:
    try:
        handle = DeltaTable(paths.landing(project, table))
    except TableNotFoundError:
        return {}
    known = handle.metadata().configuration
    apps = {p: _app(known[TOPIC_ID], p) + suffix for p in range(int(known[PARTITIONS]))}
    return {partition: handle.transaction_version(app) or 0 for partition, app in apps.items()}


def _has_rows(handle: DeltaTable, partition: int) -> bool:
    files = pa.table(handle.get_add_actions(flatten=True))
    if not files.num_rows:
        return False
    if "min.partition" in files.column_names:
        low, high = pc.min(files["min.partition"]).as_py(), pc.max(files["max.partition"]).as_py()
        if low is not None and not low <= partition <= high:
            return False
    dataset = handle.to_pyarrow_dataset()
    return dataset.head(1, columns=["offset"], filter=pc.field("partition") == partition).num_rows > 0
