"""Rows of a table that a live view joins, as its current table has them, for the view's own copy in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.batch.current import refresh
from headrace.batch.session import session
from headrace.lake.arrivals import Offsets
from headrace.project import Project
from headrace.sql.live.tree import Dimension

if TYPE_CHECKING:
    import pyarrow as pa

_OWN = {"_deleted": "gone", "_partition": "part", "_offset": "upto"}


@dataclass(frozen=True)
class Joined:
    """What of a joined table is new. `floors` tells one state of its truncates and snapshots from another."""

    dimension: Dimension
    rows: pa.Table
    positions: Offsets
    floors: str
    whole: bool  # all rows, not only the new ones


def joined(project: Project, dimension: Dimension, since: Offsets, floors: str | None) -> Joined:
    """The rows that changed behind the offsets `since`, gone ones marked; all of them when `floors` differ, since a
    truncate or a new snapshot takes rows away without a change of their own. Columns: those of the dimension, `gone`,
    `part` and `upto`. Brings the current table up to date first."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    table = project.table(dimension.table.name)
    current = refresh(project, table, lambda: session(project))
    now = ",".join(f"{f.epoch}:{f.position}" for f in current.floors)
    names = [*dimension.columns, *_OWN]
    if current.version is None:
        return Joined(dimension, pa.table({}), current.positions, now, True)
    from deltalake import DeltaTable

    whole = floors != now
    condition: Any = None
    for partition in current.positions if not whole else ():
        one = (ds.field("_partition") == partition) & (ds.field("_offset") >= since.get(partition, 0))
        condition = one if condition is None else condition | one
    rows = DeltaTable(current.path, version=current.version).to_pyarrow_dataset().to_table(names, filter=condition)
    return Joined(dimension, rows.rename_columns([_OWN.get(n, n) for n in names]), current.positions, now, whole)
