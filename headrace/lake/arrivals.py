"""A glance at newly landed rows, before Spark is asked: is there data among them, a truncate, the end of a snapshot?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.lake.rows import COMPLETE

Offsets = dict[int, int]  # partition → next offset
SNAPSHOT_ENDS = ("last", "last_in_data_collection")
NOT_DATA = ("m", "t")
_COLUMNS = ["op", "snapshot", "epoch", "position", "appended_at", "partition", "offset"]


@dataclass(frozen=True)
class Floor:
    """Rows of a table below (epoch, position) are gone: it was truncated there, or snapshotted anew without them."""

    epoch: int
    position: str
    at: datetime  # append time of the record that says so
    kind: str  # 'truncate' or 'snapshot'

    def to_json(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "position": self.position, "at": self.at.isoformat(), "kind": self.kind}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Floor:
        return Floor(value["epoch"], value["position"], datetime.fromisoformat(value["at"]), value["kind"])

    @property
    def order(self) -> tuple[int, str]:
        return (self.epoch, self.position)


@dataclass
class Arrivals:
    """What landed in a range of offsets."""

    data: bool = False
    floors: list[Floor] = field(default_factory=list)
    first: datetime | None = None  # smallest append time of a data row
    last: dict[int, datetime] = field(default_factory=dict)  # partition → greatest append time of any row


def look(path: str, since: Offsets, until: Offsets) -> Arrivals:
    """Reads seven small columns of the rows with since <= offset < until; files outside the range are skipped by their
    statistics."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    found = Arrivals()
    wanted = [p for p, end in until.items() if end > since.get(p, 0)]
    if not wanted:
        return found
    rows = [
        (pc.field("partition") == p) & (pc.field("offset") >= since.get(p, 0)) & (pc.field("offset") < until[p])
        for p in wanted
    ]
    anywhere = rows[0]
    for one in rows[1:]:
        anywhere = anywhere | one
    for batch in DeltaTable(path).to_pyarrow_dataset().scanner(columns=_COLUMNS, filter=anywhere).to_batches():
        if batch.num_rows:
            _read(batch, found)
    found.floors.sort(key=lambda floor: floor.order)
    return found


def _read(batch: Any, found: Arrivals) -> None:
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made when it is imported, where no type checker sees them
    op, appended = batch.column("op"), batch.column("appended_at")
    is_data = pc.invert(pc.is_in(op, value_set=pa.array(NOT_DATA, op.type)))
    first = pc.min(appended.filter(is_data)).as_py()
    if first is not None:
        found.data = True
        found.first = min(found.first, first) if found.first else first
    partitions = (
        pa.table({"partition": batch.column("partition"), "at": appended})
        .group_by("partition")
        .aggregate([("at", "max")])
    )
    for row in partitions.to_pylist():
        known = found.last.get(row["partition"])
        found.last[row["partition"]] = max(known, row["at_max"]) if known else row["at_max"]
    ends = pc.and_(
        pc.equal(op, "r"), pc.is_in(batch.column("snapshot"), value_set=pa.array(SNAPSHOT_ENDS, pa.string()))
    )
    ends = pc.or_(ends, pc.and_(pc.equal(op, "m"), pc.equal(batch.column("snapshot"), COMPLETE)))
    marked = pc.or_(pc.equal(op, "t"), pc.fill_null(ends, False))
    for row in batch.filter(marked).to_pylist():
        kind = "truncate" if row["op"] == "t" else "snapshot"
        found.floors.append(Floor(row["epoch"] or 0, row["position"] or "", row["appended_at"], kind))
