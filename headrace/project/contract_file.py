"""Reads `schemas/*.yaml` in the Open Data Contract Standard (v3): one table or view per file.

Names of the standard that Headrace has no use for are let through; only near misses of a name are mistakes.
"""

from __future__ import annotations

import re
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.contract import EVOLVE, SCHEMA_CHANGES, TYPES, Column, Contract, seconds
from headrace.project.contract_tags import astray, is_personal
from headrace.project.located import Located, read
from headrace.project.names import table_problem
from headrace.project.quality_file import read_checks

_TOP = (
    "apiVersion kind id name tenant version status dataProduct authoritativeDefinitions description domain "
    "tags schema servers support price team roles slaProperties slaDefaultElement customProperties "
    "contractCreatedTs"
).split()
_COLUMN = (
    "id name physicalType physicalName description businessName authoritativeDefinitions tags customProperties "
    "primaryKey primaryKeyPosition logicalType logicalTypeOptions required unique partitioned "
    "partitionKeyPosition classification encryptedName transformSourceObjects transformLogic "
    "transformDescription examples criticalDataElement quality items properties relationships"
).split()
_TABLE = (
    "id name physicalName physicalType businessName description dataGranularityDescription authoritativeDefinitions "
    "tags customProperties logicalType properties quality relationships"
).split()
# customProperties that Headrace reads; others may stand beside them.
_CUSTOM = ("eventTime", "disorder", "eventId", "duplicateHorizon", "schemaChange")
_DURATIONS = {"disorder": "5s", "duplicateHorizon": "1h"}
_EXACT = re.compile(r"(?:decimal|numeric)\s*(?:\((\d+)(?:\s*,\s*(\d+))?\))?", re.IGNORECASE)
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXAMPLE = "schema:\n  - name: {0}\n    properties:\n      - {{name: id, logicalType: integer, primaryKey: true}}"


def read_contract(path: Path) -> Contract:
    """Reads one contract; raises HeadraceError with every mistake in the file, each at its line."""
    doc = read(path)
    problems = [*doc.problems, *doc.unknown((), _TOP, strict=False)]
    schema = doc.get("schema")
    if not isinstance(schema, list) or len(schema) != 1 or not isinstance(schema[0], dict):
        wrong = Problem(
            "a contract needs `schema`, a list of exactly one table", doc.place("schema"), _EXAMPLE.format(path.stem)
        )
        raise HeadraceError(*problems, wrong)
    problems += doc.unknown(("schema", 0), _TABLE, strict=False)
    table = doc.text(("schema", 0, "name"), problems, path.stem)
    if table != path.stem:
        message = f"the contract of table {table!r} must be in {table}{path.suffix}"
        problems.append(Problem(message, doc.place("schema", 0, "name"), f"rename the file, or say name: {path.stem}"))
    else:
        problems += table_problem(table, doc.place("schema", 0, "name"))
    columns = _columns(doc, table, problems)
    custom = _custom(doc, table, columns, problems)
    problems += astray(doc)
    checks = read_checks(doc, columns, custom.get("eventTime", ""), problems)
    version = doc.text(("version",), problems, "1.0.0")
    if problems:
        raise HeadraceError(*problems)
    return Contract(
        table=table,
        version=version,
        columns=columns,
        place=doc.place("schema", 0, "name"),
        event_time=custom.get("eventTime", ""),
        disorder=seconds(custom.get("disorder", _DURATIONS["disorder"])) or 0.0,
        event_id=custom.get("eventId", ""),
        horizon=seconds(custom.get("duplicateHorizon", _DURATIONS["duplicateHorizon"])) or 0.0,
        schema_change=custom.get("schemaChange", EVOLVE),
        checks=checks,
    )


def _columns(doc: Located, table: str, problems: list[Problem]) -> tuple[Column, ...]:
    properties = doc.get("schema", 0, "properties")
    if not isinstance(properties, list) or not properties:
        message = f"table {table!r} has no `properties`: the list of its columns"
        problems.append(Problem(message, doc.place("schema", 0, "properties"), _EXAMPLE.format(table)))
        return ()
    columns: dict[str, Column] = {}
    before = len(problems)
    for index, entry in enumerate(properties):
        keys = ("schema", 0, "properties", index)
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(Problem("a column needs a `name`", doc.place(*keys), "- {name: id, logicalType: integer}"))
            continue
        if not _COLUMN_NAME.fullmatch(name):
            problems.append(Problem(f"{name!r} can't name a column", doc.place(*keys, "name"), "letters, digits and _"))
        if name.lower() in {n.lower() for n in columns}:
            problems.append(Problem(f"column {name!r} stands twice", doc.place(*keys, "name"), "keep one of them"))
            continue
        column = _column(doc, keys, name, problems)
        if column:
            columns[name] = column
    if len(problems) == before and not any(c.key for c in columns.values()):
        hint = "add `primaryKey: true` to the column, or columns, that identify a row"
        problems.append(Problem(f"table {table!r} has no primary key", doc.place("schema", 0, "properties"), hint))
    return tuple(columns.values())


def _column(doc: Located, keys: tuple[object, ...], name: str, problems: list[Problem]) -> Column | None:
    problems += doc.unknown(keys, _COLUMN, strict=False)
    key = doc.flag((*keys, "primaryKey"), problems)
    required = doc.flag((*keys, "required"), problems)
    physical = doc.text((*keys, "physicalType"), problems).strip()
    classification = doc.text((*keys, "classification"), problems)
    personal = is_personal(doc, keys, name, problems)
    logical = doc.text((*keys, "logicalType"), problems)
    if logical not in TYPES:
        if isinstance(doc.get(*keys, "logicalType"), list | dict | bool):
            return None  # said already
        place = doc.place(*keys, "logicalType")
        message = (
            f"column {name!r}: no such logicalType {logical!r}" if logical else f"column {name!r} needs a logicalType"
        )
        problems.append(Problem(message, place, did_you_mean(logical, TYPES)))
        return None
    exact = _EXACT.fullmatch(physical) if logical == "number" else None
    precision, scale = (int(exact[1]), int(exact[2] or 0)) if exact and exact[1] else (0, 0)
    if exact:
        problems += _exact(name, physical, precision, scale, doc.place(*keys, "physicalType"))
    return Column(name, logical, required or key, key, precision, scale, classification, personal)


def _exact(name: str, physical: str, precision: int, scale: int, place: Place) -> list[Problem]:
    if not precision:
        message = f"column {name!r}: {physical!r} does not say how many digits, and would be kept inexactly"
    elif precision > 38 or scale > precision:
        message = f"column {name!r}: {physical!r} can't be kept exactly (at most 38 digits, of them the scale)"
    else:
        return []
    return [Problem(message, place, "physicalType: decimal(10,2)")]


def _custom(doc: Located, table: str, columns: tuple[Column, ...], problems: list[Problem]) -> dict[str, str]:
    entries = doc.get("customProperties")
    if entries is not None and not isinstance(entries, list):
        hint = "customProperties:\n  - {property: eventTime, value: updated_at}"
        problems.append(Problem("customProperties must be a list", doc.place("customProperties"), hint))
        return {}
    known = {c.name: c for c in columns}
    custom: dict[str, str] = {}
    for index, entry in enumerate(entries or []):
        keys = ("customProperties", index)
        if not isinstance(entry, dict) or "property" not in entry:
            hint = "- {property: eventTime, value: updated_at}"
            problems.append(Problem("a custom property needs `property` and `value`", doc.place(*keys), hint))
            continue
        name = str(entry["property"])
        at = doc.place(*keys, "value")
        if name not in _CUSTOM:
            hint = did_you_mean(name, _CUSTOM)
            if hint.startswith("did you mean"):
                problems.append(Problem(f"no such custom property {name!r}", doc.place(*keys, "property"), hint))
            continue
        value = doc.text((*keys, "value"), problems)
        if name in custom:
            problems.append(Problem(f"{name} stands twice", doc.place(*keys, "property"), "keep one of them"))
        if name in _DURATIONS and seconds(value) is None:
            problems.append(Problem(f"{name} is not a duration: {value!r}", at, "such as 5s, 2m, 1h"))
        elif name == "schemaChange":
            if value not in SCHEMA_CHANGES:
                problems.append(Problem(f"no such schemaChange {value!r}", at, did_you_mean(value, SCHEMA_CHANGES)))
        elif name not in _DURATIONS and columns and value not in known:
            problems.append(Problem(f"{name} names no column of {table!r}: {value!r}", at, did_you_mean(value, known)))
        elif name == "eventTime" and columns and known[value].logical not in {"timestamp", "date"}:
            logical = known[value].logical
            times = [c.name for c in columns if c.logical in {"timestamp", "date"}]
            hint = f"columns of time are: {', '.join(times)}" if times else "give the table a column of time"
            problems.append(Problem(f"eventTime must be a timestamp, {value!r} is of type {logical}", at, hint))
        custom[name] = value
    return custom
