"""The Spark SQL of event tables: each event once, however often its service sent it.

The rule (CORRECTNESS 8), alike in both layers: an arrival counts unless one with the same event id was appended less
than the horizon before it. Repeats stay in the current table with `_deleted`, because an arrival that lands late from
another partition may yet turn out to be the first.
"""

from __future__ import annotations

from datetime import datetime

from headrace.batch.shape import METADATA, all_columns, images, name, table
from headrace.lake.arrivals import Offsets
from headrace.project import Contract


def counted(contract: Contract, rows: str) -> str:
    """The rows with `_deleted` set on repeats."""
    window = f"PARTITION BY {name(contract.event_id)} ORDER BY _appended_at, _partition, _offset"
    repeat = f"coalesce(lag(_appended_at) OVER ({window}) + {_horizon(contract)} > _appended_at, false)"
    kept = [*map(name, contract.names), *(m.split()[0] for m in METADATA if not m.startswith("_deleted "))]
    return f"SELECT {', '.join(kept)}, {repeat} AS _deleted FROM (\n{rows}\n)"


def first_load(contract: Contract, landing: str, until: Offsets) -> str:
    """All events landed before `until`, repeats marked."""
    return counted(contract, _arrived(contract, landing, {}, until))


def merge(contract: Contract, current: str, landing: str, since: Offsets, until: Offsets, first: datetime) -> str:
    """The statement that adds a range of landing; `first` is the range's smallest append time, so that neither side
    of the merge reads more of the current table than one horizon before it. Running it again changes nothing."""
    start = f"TIMESTAMP '{first.isoformat()}'"
    event_id, columns = name(contract.event_id), all_columns(contract)
    new = _arrived(contract, landing, since, until)
    # The row itself may be there already, when a run was killed after its commit: one row per arrival then, too.
    rows = f"""SELECT {columns} FROM (
  SELECT *, row_number() OVER (PARTITION BY _partition, _offset ORDER BY _deleted) AS _copy FROM (
{new}
UNION ALL
SELECT {columns} FROM {table(current)}
WHERE _appended_at >= {start} - {_horizon(contract)} AND {event_id} IN (SELECT {event_id} FROM ({new}))
)) WHERE _copy = 1"""
    return f"""MERGE INTO {table(current)} AS t USING (
SELECT * FROM (
{counted(contract, rows)}
) WHERE _appended_at >= {start}
) AS s ON t._appended_at >= {start} AND t._partition = s._partition AND t._offset = s._offset
WHEN MATCHED AND t._deleted <> s._deleted THEN UPDATE SET t._deleted = s._deleted
WHEN NOT MATCHED THEN INSERT *"""


def _arrived(contract: Contract, landing: str, since: Offsets, until: Offsets) -> str:
    """Events are never taken back: deletes in their table (an outbox being emptied) are not events."""
    return f"SELECT {all_columns(contract)} FROM ({images(contract, landing, since, until)}) WHERE NOT _deleted"


def _horizon(contract: Contract) -> str:
    return f"make_dt_interval(0, 0, 0, CAST({contract.horizon!r} AS DECIMAL(18,6)))"
