"""Changes that capture sent twice: equal images fold to the same row, but a sum over changes counts them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.audit import lake_side
from headrace.lake.arrivals import Offsets
from headrace.project import Project, Table

if TYPE_CHECKING:
    import duckdb

_CHANGES = "op IN ('c', 'u', 'd') AND transaction_id IS NOT NULL"
_AGAIN = """(op = 'c' AND last.op <> 'd') OR (op <> 'c' AND last.op = 'd')
  OR (op <> 'c' AND json_keys(before) = json_keys(last.after) AND before <> last.after)"""


def repeated(
    connection: duckdb.DuckDBPyConnection, project: Project, table: Table, until: Offsets, within: str = "true"
) -> set[str]:
    """Keys, as landed, with changes below `until` that can't follow the one before them in the same transaction: a row
    that is made while it is there, changed or taken away while it is not, or changed from what it was not.

    What repeats are sent of is a transaction that a client began to read anew. Nothing is said of one that emptied the
    table, of updates that moved a row, and of a row whose image is in quarantine.
    """
    lake_side.open_landing(connection, project, table)
    below = lake_side.below(until)
    query = f"""WITH several AS (
  SELECT epoch, transaction_id, key FROM landed WHERE {_CHANGES} AND ({below})
  GROUP BY ALL HAVING count(*) > 1 AND count(*) FILTER (op <> 'd' AND after IS NULL) = 0
), emptied AS (
  SELECT epoch, transaction_id FROM landed WHERE op = 't' AND transaction_id IS NOT NULL
), told AS (
  SELECT key, op, before, lag(row(op, after)::STRUCT(op VARCHAR, after VARCHAR)) OVER (
    PARTITION BY epoch, transaction_id, key ORDER BY position, partition, "offset") AS last
  FROM landed SEMI JOIN several USING (epoch, transaction_id, key) ANTI JOIN emptied USING (epoch, transaction_id)
  WHERE {_CHANGES} AND ({below}) AND (op <> 'u' OR before IS NULL OR {_same(table)})
)
SELECT DISTINCT key AS landed_key FROM told WHERE last IS NOT NULL AND ({_AGAIN})"""
    return lake_side.keys_within(connection, table, query, within)


def _same(table: Table) -> str:
    """Whether an update's old image has the row's key."""
    names = [lake_side.path(c) for c in table.contract.columns if c.key]
    return " AND ".join(f"(before -> {name}) IS NOT DISTINCT FROM (key -> {name})" for name in names)
