"""Reads the `quality` rules of a contract, in the form of the Open Data Contract Standard (v3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.errors import Problem, did_you_mean
from headrace.project.contract import Column, Contract
from headrace.project.located import Keys, Located
from headrace.project.quality_check import BLOCKING, Check
from headrace.project.quality_rule import Rule


def read_checks(
    doc: Located, columns: tuple[Column, ...], event_time: str, problems: list[Problem]
) -> tuple[Check, ...]:
    """Every check of a contract, declared and implied; a problem for each rule that can't be meant as it stands."""
    known = {c.name: c for c in columns}
    found: dict[str, Check] = {}
    properties = doc.get("schema", 0, "properties")
    for index, entry in enumerate(properties if isinstance(properties, list) else []):
        column = known.get(str(entry.get("name"))) if isinstance(entry, dict) else None
        if column:
            keys = ("schema", 0, "properties", index)
            for check in (
                *_implied(doc, keys, column, problems),
                *_rules(doc, keys, column, known, event_time, problems),
            ):
                _add(found, check, problems)
    key = tuple(c.name for c in columns if c.key)
    if key:
        place = doc.place("schema", 0, "name")
        _add(found, Check("unique key", "duplicateValues", place, key, BLOCKING, implied=True), problems)
    for check in _rules(doc, ("schema", 0), None, known, event_time, problems):
        _add(found, check, problems)
    return tuple(found.values())


def reference_problems(
    contracts: Mapping[str, Contract], tables: Iterable[str], broken: Iterable[str]
) -> list[Problem]:
    """A problem for each check that refers to what is not there, or to a column of another type."""
    tables, broken, problems = set(tables), set(broken), []
    for contract, check in ((c, k) for c in contracts.values() for k in c.checks if k.kind == "references"):
        table, column = check.references
        if table in broken and table not in tables:
            message = f"references {table!r}, which has mistakes of its own"
            problems.append(Problem(message, check.place, follows=True))
            continue
        if table not in tables:
            problems.append(
                Problem(f"references no table of a source: {table!r}", check.place, did_you_mean(table, tables))
            )
            continue
        there = {c.name: c for c in contracts[table].columns}
        if column not in there:
            message = f"references no column of {table!r}: {column!r}"
            problems.append(Problem(message, check.place, did_you_mean(column, there)))
            continue
        mine = next(c for c in contract.columns if c.name == check.columns[0])
        if mine.logical != there[column].logical:
            message = f"{mine.name!r} is of type {mine.logical}, {table}.{column} of type {there[column].logical}"
            problems.append(Problem(message, check.place, "no value of the one equals one of the other"))
    return problems


def _add(found: dict[str, Check], check: Check, problems: list[Problem]) -> None:
    if check.name in found and not check.implied:
        hint = f"give one of them another name, first in line {found[check.name].place.line}"
        problems.append(Problem(f"two checks are called {check.name!r}", check.place, hint))
    found.setdefault(check.name, check)


def _implied(doc: Located, keys: Keys, column: Column, problems: list[Problem]) -> Iterable[Check]:
    if column.required:
        yield Check(
            f"{column.name} required", "nullValues", doc.place(*keys, "name"), (column.name,), BLOCKING, implied=True
        )
    if doc.flag((*keys, "unique"), problems) and not column.key:
        # A source swaps two rows' values in one transaction; a table that is read between the two has them twice.
        yield Check(
            f"{column.name} unique", "duplicateValues", doc.place(*keys, "unique"), (column.name,), implied=True
        )


def _rules(
    doc: Located, above: Keys, column: Column | None, known: dict[str, Column], event_time: str, problems: list[Problem]
) -> Iterable[Check]:
    keys = (*above, "quality")
    rules = doc.get(*keys)
    if rules is None:
        return
    if not isinstance(rules, list):
        hint = "quality:\n  - {metric: rowCount, mustBeGreaterThan: 0}"
        problems.append(Problem("quality must be a list of rules", doc.place(*keys), hint))
        return
    for index, rule in enumerate(rules):
        check = Rule(doc, (*keys, index), column, known, event_time, problems).read(rule)
        if check:
            yield check
