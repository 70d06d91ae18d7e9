"""The columns that checks look at, as SQL over the row `t` of a table. Only these are read."""

from __future__ import annotations

from headrace.lake.pinned import quoted
from headrace.project import Contract
from headrace.project.quality_check import Check


def column(check: Check) -> str:
    """The name of the column that a check's expectation is about; '' for a check of the table as a whole."""
    if check.kind == "references":
        return f"{check.columns[0]} without {'.'.join(check.references)}"
    if check.kind == "missingValues":
        return f"{check.columns[0]}, empty where it means nothing"
    return check.columns[0] if check.columns else ""


def expressions(contract: Contract, checks: tuple[Check, ...]) -> dict[str, str]:
    """Column → SQL for everything that the checks, and examples of rows that break them, need."""
    dates = {c.name for c in contract.columns if c.logical == "date"}
    names = dict.fromkeys([*contract.key, *(name for check in checks for name in check.columns)])
    # Dates as times: one kind of value to compare.
    found = {name: f"CAST({_of(name)} AS TIMESTAMPTZ)" if name in dates else _of(name) for name in names}
    for check in checks:
        if check.kind == "references":
            table, key = check.references
            mine = _of(check.columns[0])
            there = f"EXISTS (SELECT 1 FROM {quoted(table)} AS o WHERE o.{quoted(key)} = {mine})"
            found[column(check)] = f"CASE WHEN {mine} IS NOT NULL AND NOT {there} THEN {mine} END"
        elif check.kind == "missingValues":
            mine = _of(check.columns[0])
            nothing = ", ".join("'" + str(v).replace("'", "''") + "'" for v in check.values) or "NULL"
            found[column(check)] = f"CASE WHEN CAST({mine} AS VARCHAR) NOT IN ({nothing}) THEN {mine} END"
    return found


def _of(name: str) -> str:
    return f"t.{quoted(name)}"
