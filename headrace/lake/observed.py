"""The record of a table's observed columns: a property of its landing table, so that it is as lasting as the rows."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from headrace.lake import paths
from headrace.project import Project, Table
from headrace.project.observed import Observed, evolved, merged

if TYPE_CHECKING:
    from deltalake import DeltaTable

PROPERTY = "headrace.observed"
_TRIES = 20


def effective(project: Project, table: Table) -> Table:
    """The table with the contract that its rows are read by: its file's, and what the rows have shown since."""
    return replace(table, contract=evolved(table.contract, find(project, table.name)))


def widened(project: Project, table: Table) -> Table:
    """The table with the columns that its contract's file names, as wide as they have become."""
    contract = effective(project, table).contract
    columns = tuple(c for c in contract.columns if c.name in table.contract.names)
    return replace(table, contract=replace(contract, columns=columns))


def find(project: Project, table: str) -> Observed:
    """What was observed of a table; nothing when it never landed anything."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return read(DeltaTable(paths.landing(project, table)))
    except TableNotFoundError:
        return Observed()


def read(handle: DeltaTable) -> Observed:
    """What was observed of the table, as this handle sees it."""
    text = handle.metadata().configuration.get(PROPERTY)
    return Observed.from_json(json.loads(text)) if text else Observed()


def record(handle: DeltaTable, seen: Observed) -> Observed:
    """Adds what was seen to the record and returns all of it; never takes away what another worker wrote.

    To be called before the rows that showed it are committed: then nobody finds rows whose columns are not on record.
    """
    from deltalake.exceptions import CommitFailedError

    for attempt in count(1):
        known = read(handle)
        wanted = merged(known, seen)
        if wanted == known:
            return known
        try:
            text = json.dumps(wanted.to_json(), separators=(",", ":"))
            handle.alter.set_table_properties({PROPERTY: text}, raise_if_not_exists=False)
            return wanted
        except CommitFailedError:  # another worker has just committed
            if attempt >= _TRIES:
                raise
            handle.update_incremental()
    raise AssertionError
