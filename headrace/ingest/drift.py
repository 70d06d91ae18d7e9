"""How far contracts and the columns of their sources have drifted apart, and the lines that would mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headrace.errors import HeadraceError, Problem
from headrace.ingest.source_columns import Declared, declared
from headrace.lake import observed as record
from headrace.project import Column, Contract, Project, Source
from headrace.project.contract import EVOLVE, FREEZE
from headrace.project.observed import Observed, describe, join, new

Row = dict[str, Any]  # source, table, column, change, since, effect, contract

# What the connector sends for a declared type, as far as a column of the contract's type takes it.
_TAKES = {
    "string": {"string", "object", "date", "timestamp", "number"},
    "boolean": {"boolean", "integer"},
    "object": {"object", "string"},
    "array": {"array", "string"},
}


def look(project: Project, sources: Iterable[Source]) -> tuple[list[Row], list[Problem]]:
    """Every difference, a row each, and why a source could not be asked. Changes nothing.

    `since` is the position and time of the first row that showed it, where the lake has one; `effect` says what becomes
    of such values; `contract` is a line for `properties` of the contract.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for source in sources:
        for table in source.tables:
            known: Mapping[str, Declared] = {}
            if source.mode == "cdc":
                try:
                    known = declared(project, source, table)
                except HeadraceError as error:
                    problems += [p for p in error.problems if p not in problems]
            found = differences(table.contract, record.find(project, table.name), known, source.mode == "cdc")
            rows += [{"source": source.name, "table": table.name, **row} for row in found]
    return rows, problems


def differences(
    contract: Contract, observed: Observed, known: Mapping[str, Declared] = {}, captured: bool = True
) -> Iterator[Row]:
    """The differences of one table. `known` are its columns in the source; {} when they are not known."""
    shown = {a.column.name for a in new(contract, observed)}
    for name, one in sorted(observed.added.items()):
        if name not in contract.names and not (known and name not in known):
            since = f"{one.since} {one.at[:19]}"
            column = known[name].column if name in known else one.column
            yield _row(name, "new column", since, _effect(contract, name in shown), column)
    for column in contract.columns:
        there = known.get(column.name)
        if captured and (there is None if known else observed.columns and column.name not in observed.columns):
            effect = "rows without it are in quarantine" if column.required else "NULL in new rows"
            yield _row(column.name, "no longer there", "", effect, None)
        elif column.name in observed.widened:
            wide = join(column, observed.widened[column.name])
            if wide != column:
                yield _row(column.name, "wider type", "", "shown in the lake; alerts drop such values", wide)
        elif there and not _takes(column, there.column):
            yield _row(column.name, "other type", "", "values that don't fit are in quarantine", there.column)


def _effect(contract: Contract, shown: bool) -> str:
    if contract.schema_change == FREEZE:
        return "rows with it are in quarantine"
    if contract.schema_change == EVOLVE and shown:
        return "shown in the lake; alerts don't see it"
    return "kept in the landing rows"


def _takes(column: Column, source: Column) -> bool:
    if column.is_decimal:
        return source.logical == "integer" or (source.is_decimal and join(column, source) == column)
    if column.logical == "string" and source.logical == "number":
        return source.is_decimal  # sent as text, to the last digit
    return source.logical in _TAKES.get(column.logical, {column.logical}) and not (
        column.logical == "number" and source.is_decimal
    )


def _row(name: str, change: str, since: str, effect: str, column: Column | None) -> Row:
    return {
        "column": name,
        "change": change,
        "since": since,
        "effect": effect,
        "contract": describe(column) if column else "",
    }
