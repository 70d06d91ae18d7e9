"""Flink SQL that shows a table's topic as `<table>_changes`: text made from the contract, nothing else.

Two statements per input. The raw table reads every column as STRING, so that a value of a wrong type costs its image
and not, in silence, the whole message; it carries the watermark. The view is what a user's SQL names: the contract's
columns with their types, `op`, `event_time` (a rowtime attribute) and `appended_at`.

Guarantees of the view, the same as landing's for the same bytes:
* a message that is not one JSON object contributes nothing (format json-object: headrace.local.install.FLINK_FORMAT);
* an image that lacks a required column, or holds a value that its column can't take, contributes nothing;
* markers and truncates are never seen, yet a marker moves the watermark to its append time;
* a repeated event (contract.event_id) is dropped when one with its id was appended less than contract.horizon before.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from headrace.sql import validity

if TYPE_CHECKING:  # only to name the types of arguments: this room is below the project's
    from headrace.project.contract import Column, Contract
    from headrace.project.source import Table

NONE: Mapping[str, str] = MappingProxyType({})
GENERATOR = "2"  # part of every job's code version: raise it when the generated text changes its meaning
OWN = ("op", "event_time", "appended_at")  # columns every changes view has; a contract's column of that name gives way
_PATTERNS = {
    "integer": r"-?\d+",
    "number": r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "boolean": "true|false|0|1",
    "date": validity.DATE,
    "timestamp": validity.TIMESTAMP,
}
SHADED = "org.apache.flink.kafka.shaded."  # before Kafka's classes in Flink's connector
_END = r"\z"
_RAW = "{}_bus"
DISCOVERY = "10 s"  # after which a live view reads a new partition; by itself Flink would look every five minutes
_PARTITION = 10**15  # offsets stay below it: partition and offset together fit one BIGINT


def properties(bus: Mapping[str, str]) -> dict[str, str]:
    """Options of a table of Flink's: the settings of a client of the bus."""
    return {f"properties.{name}": value for name, value in bus.items()}


def inputs(
    table: Table, bus: Mapping[str, str], group: str, bare: bool, startup: str = "group-offsets"
) -> tuple[str, str]:
    """The raw table and the changes view of one table.

    `bus` has the settings with which Flink's clients reach the bus, `Addresses.bus_java(SHADED)`.
    `bare`: the topic carries event objects, not Debezium envelopes. `startup` is where a reader without state begins:
    'group-offsets' (the group's committed offsets, else the beginning) or 'earliest-offset'.
    """
    return raw_table(table, bus, group, bare, startup), changes_view(table.contract, bare)


def raw_table(
    table: Table,
    bus: Mapping[str, str],
    group: str,
    bare: bool,
    startup: str = "group-offsets",
    more: Mapping[str, str] = NONE,
    start: Mapping[int, int] | None = None,
) -> str:
    """CREATE TABLE over the topic: columns as STRING, the broker's append time, and the watermark.

    The watermark is the event time less the contract's disorder, never later than the append time less the disorder: a
    row from the future must not make all others late. A live view needs columns of ours `more` (name → type and where
    it comes from), and begins at the offsets `start`; partitions that these lack are read from their beginning.
    """
    contract = table.contract
    columns = ",\n  ".join(f"{name(c.name)} STRING" for c in contract.columns)
    image = ", ".join(f"{name(c.name)} STRING" for c in contract.columns)
    if not bare:
        columns = f"`op` STRING,\n  `before` ROW<{image}>,\n  `after` ROW<{image}>,\n  `source` ROW<`ts_ms` BIGINT>"
    options = {
        "connector": "kafka",
        "topic": table.topic,
        **properties(bus),
        "properties.group.id": group,
        "properties.isolation.level": "read_committed",
        "properties.auto.offset.reset": "earliest",
        "scan.startup.mode": startup,
        "format": (format := "json-object" if bare else "json"),
        f"{format}.ignore-parse-errors": "true",
    }
    if start:
        options["scan.startup.mode"] = "specific-offsets"
        options["scan.startup.specific-offsets"] = ";".join(f"partition:{p},offset:{o}" for p, o in start.items())
        options["scan.topic-partition-discovery.interval"] = DISCOVERY
    return (
        f"CREATE TEMPORARY TABLE {name(_RAW.format(contract.table))} (\n  {columns},\n"
        "  `__appended_at` TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL,\n"
        "  `__partition` INT NOT NULL METADATA FROM 'partition' VIRTUAL,\n"
        "  `__offset` BIGINT NOT NULL METADATA FROM 'offset' VIRTUAL,\n"
        + "".join(f"  {name(n)} {type_},\n" for n, type_ in more.items())
        + "  `__processed_at` AS PROCTIME(),\n"
        f"  `__event_time` AS {_event_time(contract, bare)},\n"
        "  WATERMARK FOR `__event_time` AS CASE WHEN `__event_time` < `__appended_at` THEN `__event_time`"
        f" ELSE `__appended_at` END - {_interval(contract.disorder)}\n) WITH (\n  {with_options(options)}\n)"
    )


def changes_view(contract: Contract, bare: bool, more: tuple[str, ...] = (), slack: float = 0.0) -> str:
    """CREATE VIEW of the typed, valid changes. Without `event_id` in the contract nothing is remembered (no state).

    `more` are columns of the raw table that it shows besides. Events are remembered for their horizon and `slack`
    seconds: repeats are found as long as they do not come later after their first than that, by Flink's clock.
    """
    image = {c.name: _of_image(c.name, bare) for c in contract.columns}
    typed = {c.name: typed_value(c, image[c.name]) for c in contract.columns}
    valid = [valid_value(c, image[c.name]) for c in contract.columns]
    if not bare:
        valid.insert(0, "`op` IN ('r', 'c', 'u', 'd')")
    own = {"op": "'c'" if bare else "`op`", "event_time": "`__event_time`", "appended_at": "`__appended_at`"}
    shown = {**{n: e for n, e in typed.items() if n not in OWN}, **own, **{n: name(n) for n in more}}
    listed = ",\n  ".join(f"{expression} AS {name(n)}" for n, expression in shown.items())
    where = "\n  AND ".join(valid)
    raw = name(_RAW.format(contract.table))
    view = f"CREATE TEMPORARY VIEW {name(contract.table + '_changes')} AS\n"
    if not contract.event_id:
        return f"{view}SELECT\n  {listed}\nFROM {raw}\nWHERE {where}"
    return view + _first_of_each(contract, raw, listed, where, tuple(shown), slack)


def _first_of_each(contract: Contract, raw: str, listed: str, where: str, shown: tuple[str, ...], slack: float) -> str:
    """Rows none of whose id was appended less than the horizon before them.

    What was seen is remembered by processing time and compared by append time, so that reading the topic again, faster
    than it was written, finds the same repeats. Rows of one millisecond are peers in a RANGE window: a row therefore
    looks for its own place among them. Only ids first seen before an outage longer than the horizon are forgotten.
    """
    horizon = _interval(contract.horizon)
    by = f"PARTITION BY {name(contract.event_id)} ORDER BY `__processed_at`"
    window = f"OVER ({by} RANGE BETWEEN {_interval(contract.horizon + slack)} PRECEDING AND CURRENT ROW)"
    names = ", ".join(name(n) for n in shown)
    place = f"CAST(`__partition` AS BIGINT) * {_PARTITION} + `__offset`"
    return (
        f"SELECT {names}\nFROM (\n"
        f"SELECT {names}, `__place`,\n  ARRAY_AGG(`__place`) {window} AS `__places`,\n"
        f"  ARRAY_AGG(`appended_at`) {window} AS `__times`\n"
        f"FROM (\nSELECT\n  {listed},\n  {place} AS `__place`,\n  `__processed_at`\nFROM {raw}\nWHERE {where}))\n"
        "WHERE ARRAY_POSITION(`__places`, `__place`) = 1"
        f" OR `__times`[ARRAY_POSITION(`__places`, `__place`) - 1] + {horizon} <= `appended_at`"
    )


def _event_time(contract: Contract, bare: bool) -> str:
    found = []
    column = next((c for c in contract.columns if c.name == contract.event_time), None)
    if column:
        images = [name(column.name)] if bare else [f"`after`.{name(column.name)}", f"`before`.{name(column.name)}"]
        found = [f"CAST({typed_value(column, i)} AS TIMESTAMP_LTZ(3))" for i in images]
    if not bare:
        found.append("TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3)")
    return f"COALESCE({', '.join([*found, '`__appended_at`'])})"


def _of_image(column: str, bare: bool) -> str:
    return (
        name(column) if bare else f"CASE WHEN `op` = 'd' THEN `before`.{name(column)} ELSE `after`.{name(column)} END"
    )


def typed_value(column: Column, text: str) -> str:
    """`text` (a STRING expression) as the column's Flink type; NULL when the column can't take it."""
    if column.logical == "timestamp":
        return f"TRY_CAST(REPLACE(REPLACE({text}, 'T', ' '), 'Z', '') AS {column.flink})"
    if column.logical == "date":
        return f"TRY_CAST(REPLACE({text}, 'Z', '') AS DATE)"
    if column.flink == "STRING":
        return text
    return f"TRY_CAST({text} AS {column.flink})"


def valid_value(column: Column, text: str) -> str:
    """A condition: the value is there if it must be, and the column can take it if it is there (headrace.sql.validity).

    Flink shows no difference between 12 and "12": landing, which sees it, rejects the one that its column doesn't take.
    """
    if column.flink == "STRING":
        return f"{text} IS NOT NULL" if column.required else "TRUE"
    pattern = validity.decimal(column.precision, column.scale) if column.is_decimal else _PATTERNS[column.logical]
    fits = f"REGEXP({text}, {literal(f'^(?:{pattern})' + _END)}) AND {typed_value(column, text)} IS NOT NULL"
    return fits if column.required else f"({text} IS NULL OR {fits})"


def _interval(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    return f"INTERVAL '{days} {hours:02}:{minutes:02}:{rest:06.3f}' DAY TO SECOND(3)"


def name(identifier: str) -> str:
    """An identifier in Flink's quotes."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A string in SQL's quotes."""
    return "'" + text.replace("'", "''") + "'"


def with_options(options: dict[str, str]) -> str:
    return ",\n  ".join(f"{literal(k)} = {literal(v)}" for k, v in options.items())
