"""A glance at a stretch of landing for a live view: what a cut must know of it before Spark is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace.lake.arrivals import Offsets
from headrace.lake.rows import ORIGIN

UNSIGNED = ("r", "t")  # rows of snapshots and truncates: no change that a sum could take up
MARKER = "m"
_COLUMNS = ["op", "partition", "offset", "appended_at", "headers"]


@dataclass
class Stretch:
    """What lies in a range of offsets."""

    data: bool = False  # anything but markers
    unsigned: Offsets = field(default_factory=dict)  # partition → last offset of what carries no sign
    late: list[tuple[int, int]] = field(default_factory=list)  # (partition, offset): behind an old cut, below its chunk
    bare: list[tuple[int, int]] = field(default_factory=list)  # updates and deletes that came without a before-image
    begins: Offsets = field(default_factory=dict)  # partition → smallest offset of a chunk at or past the new cut


def glance(path: str, since: Offsets, until: Offsets, cut: datetime, old: tuple[Offsets, datetime] | None) -> Stretch:
    """Reads five columns of the rows with since <= offset < until; files outside are skipped by their statistics.

    `cut` is the time at which the new cut lies. `old` is what the last run had landed and where its cut lies: a row
    behind these offsets and before that time is in neither layer (CORRECTNESS 9). Replayed messages carry no sign.
    """
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    found = Stretch()
    ranges = [
        (pc.field("partition") == p) & (pc.field("offset") >= since.get(p, 0)) & (pc.field("offset") < end)
        for p, end in until.items()
        if end > since.get(p, 0)
    ]
    if not ranges:
        return found
    anywhere = ranges[0]
    for one in ranges[1:]:
        anywhere = anywhere | one
    columns = {name: pc.field(name) for name in _COLUMNS}
    if old:
        columns["bare"] = pc.field("op").isin(["u", "d"]) & pc.field("before").is_null()
    for batch in DeltaTable(path).to_pyarrow_dataset().scanner(columns=columns, filter=anywhere).to_batches():
        if batch.num_rows:
            _read(batch, found, cut, old)
    return found


def _read(batch: Any, found: Stretch, cut: datetime, old: tuple[Offsets, datetime] | None) -> None:
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made when it is imported, where no type checker sees them
    op, at = batch.column("op"), batch.column("appended_at")
    data = pc.not_equal(op, MARKER)
    found.data = found.data or pc.any(data).as_py()
    replayed = pc.fill_null(pc.match_substring(batch.column("headers"), ORIGIN), False)
    unsigned = pc.or_(pc.is_in(op, value_set=pa.array(UNSIGNED, op.type)), pc.and_(data, replayed))
    for partition, offset in _each(batch.filter(unsigned), "max"):
        found.unsigned[partition] = max(offset, found.unsigned.get(partition, offset))
    behind = pc.greater_equal(at, pa.scalar(cut.astimezone(UTC), at.type))
    for partition, offset in _each(batch.filter(behind), "min"):
        found.begins[partition] = min(offset, found.begins.get(partition, offset))
    if old:
        below = batch.filter(pc.and_(data, pc.less(at, pa.scalar(old[1].astimezone(UTC), at.type))))
        found.late += [(p, o) for p, o in _places(below) if o >= old[0].get(p, 0)]
        found.bare += _places(batch.filter(pc.and_not(batch.column("bare"), replayed)))


def _places(batch: Any) -> list[tuple[int, int]]:
    return list(zip(batch["partition"].to_pylist(), batch["offset"].to_pylist(), strict=True))


def _each(batch: Any, what: str) -> list[tuple[int, int]]:
    """(partition, smallest or greatest offset) of a batch."""
    import pyarrow as pa

    grouped = pa.table({"partition": batch.column("partition"), "offset": batch.column("offset")})
    rows = grouped.group_by("partition").aggregate([("offset", what)]).to_pylist()
    return [(row["partition"], row[f"offset_{what}"]) for row in rows]
