"""Flink SQL of a live view: partials per key, chunk and partition from the changes on the bus.

sqlglot has no Flink dialect, so this is one of our own, for the operations of the allow-list. A change of a database
row is read with both its images and becomes one row where they have the same key, so that an update from 10 to 12 shows
as +2 (CORRECTNESS 16), else one row for each. Snapshot rows and replayed messages carry no sign: the batch layer counts
them in a full run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from headrace.sql.flink import changes_view, literal, name, raw_table, typed_value, valid_value, with_options
from headrace.sql.live.text import Dialect, listed
from headrace.sql.live.tree import APPENDED, Measure, Node, View
from headrace.sql.live.types import Type, written

if TYPE_CHECKING:
    from headrace.project.contract import Column
    from headrace.project.source import Table

GENERATOR = "2"  # part of every live view's version: raise it when the generated text changes its meaning
REPLAYED = "headrace-origin"  # header of a replayed message: headrace.lake.rows.ORIGIN
PARTITION, OFFSET, APPENDED_AT, HEADERS = "__partition", "__offset", "__appended_at", "__headers"
_HEADERS = {HEADERS: "MAP<STRING, BYTES> METADATA FROM 'headers' VIRTUAL"}
_CLOCK = {"HOUR": 12, "MINUTE": 15}  # where in 2026-01-31 12:00:00.000000 they stand
_STARTS = {"MONTH": (7, "-01 00:00:00"), "YEAR": (4, "-01-01 00:00:00")}
SIGNED, SPEED = "headrace_signed", "headrace_speed"  # the view of signed rows, and the table that takes the partials


class Flink(Dialect):
    engine = "flink"

    def moment(self, value) -> str:  # type: ignore[no-untyped-def]
        return f"CAST({super().moment(value)} AS TIMESTAMP_LTZ(6))"

    def _trunc(self, node: Node) -> str:
        moment = self.text(node.args[0])
        if node.value in _STARTS:  # FLOOR takes times before 1970 that have a fraction to the month behind theirs
            digits, rest = _STARTS[node.value]
            return f"CAST(SUBSTRING(CAST({moment} AS STRING), 1, {digits}) || '{rest}' AS TIMESTAMP_LTZ(6))"
        return f"CAST(FLOOR({moment} TO {node.value}) AS TIMESTAMP_LTZ(6))"

    def _bucket(self, node: Node) -> str:
        length, unit = node.value
        moment, part = self.text(node.args[0]), self._clock(node.args[0], unit)
        outer = "HOUR" if unit == "MINUTE" else "DAY"
        start = f"TIMESTAMPADD({unit}, CAST({part} - MOD({part}, {length}) AS INT), FLOOR({moment} TO {outer}))"
        return f"CAST({start} AS TIMESTAMP_LTZ(6))"

    def _part(self, node: Node) -> str:
        if node.value in _CLOCK:
            return self._clock(node.args[0], node.value)
        return f"CAST(EXTRACT({node.value} FROM CAST({self.text(node.args[0])} AS DATE)) AS BIGINT)"

    def _clock(self, moment: Node, unit: str) -> str:
        """A part of the clock from the time's text: EXTRACT is wrong before 1970 where there is a fraction."""
        return f"CAST(SUBSTRING(CAST({self.text(moment)} AS STRING), {_CLOCK[unit]}, 2) AS BIGINT)"


def chunk(moment: str, seconds: int) -> str:
    """The number of the chunk of an append time: whole chunks since 1970."""
    return f"(EXTRACT(EPOCH FROM {moment}) / {seconds})"  # a TIMESTAMPDIFF in seconds would be an INT, until 2038


def insert(view: View) -> str:
    """The statement that fills the speed table from SIGNED: a row per key, chunk and partition, again with each change.

    It groups by the key of the speed table and nothing else (a group's keys are all alike, so MAX is their value):
    under any other key Flink would take each row away before it writes the next one, past the guard of the table.

    Guarantee: a row with `upto` holds every signed row of its key and chunk up to that offset of its partition, and
    none behind it. The latest of a chunk's rows replaces the ones before.
    """
    keys = [_stored_key(k.name, k.node) for k in view.keys]
    sums = [f"{_sum(m)} AS {m.name}" for m in view.measures]
    own = [
        "SUM(n) AS row_count",
        "SUM(images) AS images",
        "CAST(MAX(appended_at) AS STRING) || '+00' AS newest",
        "MAX(place) AS upto",
        "MIN(place) AS min_offset",
    ]
    shown = listed(["group_key", *keys, "chunk", "part", *sums, *own])
    keyed = f"SELECT *, {group_key(view)} AS group_key FROM {SIGNED}"
    return f"INSERT INTO {SPEED}\nSELECT {shown}\nFROM (\n{keyed})\nGROUP BY group_key, chunk, part"


def raw(
    view: View, table: Table, bus: Mapping[str, str], group: str, start: Mapping[int, int], slack: float = 0.0
) -> list[str]:
    """The statements that show a topic to `signed`; it is read from the offsets `start`, new partitions from theirs.

    Events are known for `slack` seconds longer than their horizon: for so long one may be on its way to Flink.
    """
    bare = view.table.mode == APPENDED
    made = [raw_table(table, bus, group, bare, "earliest-offset", _HEADERS, start)]
    if bare:
        made.append(changes_view(table.contract, bare, (PARTITION, OFFSET, APPENDED_AT), slack))
    return made


def raw_name(view: View) -> str:
    """What `signed` reads: the topic with both images, or a topic's events without their repeats."""
    return f"{view.table.name}_changes" if view.table.mode == APPENDED else f"{view.table.name}_bus"


def sink(view: View, table: str, serving: str, user: str, password: str) -> str:
    """CREATE TABLE of SPEED over PostgreSQL; `serving` is a JDBC address, `table` the speed table's name there."""
    types = {"group_key": "STRING", **{k.name: _sent(k.node.type) for k in view.keys}, "chunk": "BIGINT", "part": "INT"}
    types |= {m.name: _sent(m.type) for m in view.measures}
    types |= {"row_count": "BIGINT", "images": "BIGINT", "newest": "STRING", "upto": "BIGINT", "min_offset": "BIGINT"}
    return upserts(SPEED, types, ("group_key", "chunk", "part"), table, serving, user, password)


def upserts(
    name_: str, types: Mapping[str, str], key: Iterable[str], table: str, serving: str, user: str, password: str
) -> str:
    """CREATE TABLE of Flink that upserts into a table of PostgreSQL, whose triggers decide what of it stays."""
    options = {
        "connector": "jdbc",
        "url": serving + ("&" if "?" in serving else "?") + "stringtype=unspecified&reWriteBatchedInserts=true",
        "username": user,
        "password": password,
        "table-name": table,
        "sink.buffer-flush.interval": "100 ms",
        "sink.buffer-flush.max-rows": "2000",
    }
    columns = ",\n  ".join(
        [*(f"{name(n)} {type_}" for n, type_ in types.items()), f"PRIMARY KEY ({_all(key)}) NOT ENFORCED"]
    )
    return f"CREATE TEMPORARY TABLE {name_} (\n  {columns}\n) WITH (\n  {with_options(options)}\n)"


def signed(view: View, raw: str, since: int) -> str:
    """The view SIGNED: keys, values of measures with their sign, chunk, partition and offset. `raw` is the table of
    headrace.sql.flink over the topic, or for events its changes view, each with the columns above; `since` is the first
    chunk that counts (CORRECTNESS 12)."""
    made = _appended(view, raw) if view.table.mode == APPENDED else _changed(view, raw)
    columns = [*(k.name for k in view.keys), *(m.name for m in view.measures)]
    shown = listed([*columns, "n", "images", "chunk", "part", "place", "appended_at"])
    return f"CREATE TEMPORARY VIEW {SIGNED} AS\nSELECT {shown}\nFROM (\n{made})\nWHERE chunk >= {since}"


def _appended(view: View, raw: str) -> str:
    dialect = Flink(lambda n: name(n.value))
    columns = [f"{key(k.node, dialect)} AS {k.name}" for k in view.keys]
    columns += [f"{_value(m, dialect.text(m.node))} AS {m.name}" for m in view.measures]
    return (
        f"SELECT {listed([*columns, 'CAST(1 AS BIGINT) AS n', 'CAST(1 AS BIGINT) AS images', *_position(view)])}\n"
        f"FROM {name(raw)}\nWHERE {dialect.true(view.filter)}"
    )


def _changed(view: View, raw: str) -> str:
    """Both images of each change: typed, judged, their keys and values, then one row or two."""
    used = _used(view)
    typed: list[str] = []
    judged: list[str] = []
    for side, image, ops in (("a", "after", "('c', 'u')"), ("b", "before", "('u', 'd')")):
        given: Iterable[Column] = view.table.columns
        of = {c.name: f"`{image}`.{name(c.name)}" for c in given}
        typed += [f"{typed_value(c, of[c.name])} AS {name(f'{side}_{c.name}')}" for c in given if c.name in used]
        valid = [f"`op` IN {ops}", f"`{image}` IS NOT NULL", *(valid_value(c, of[c.name]) for c in given)]
        judged.append(f"COALESCE({' AND '.join(valid)}, FALSE) AS {side}_valid")
    inner = (
        f"SELECT {listed([*typed, *judged, *_position(view)])}\nFROM {name(raw)}\n"
        f"WHERE `op` IN ('c', 'u', 'd') AND `{HEADERS}`[{literal(REPLAYED)}] IS NULL"
    )
    columns: list[str] = []
    for side in ("a", "b"):
        dialect = Flink(lambda n, side=side: name(f"{side}_{n.value}"))
        columns += [f"{key(k.node, dialect)} AS {side}_{k.name}" for k in view.keys]
        columns += [f"{dialect.text(m.node)} AS {side}_{m.name}" for m in view.measures]
        columns.append(f"({side}_valid AND {dialect.true(view.filter)}) AS {side}_in")
    middle = f"SELECT {listed([*columns, *_PLACE])}\nFROM (\n{inner})"
    alike = " AND ".join(["a_in", "b_in", *(f"a_{k.name} IS NOT DISTINCT FROM b_{k.name}" for k in view.keys)])
    sides = f"CASE WHEN {alike} THEN ARRAY[0] WHEN a_in AND b_in THEN ARRAY[1, -1]"
    sides += " WHEN a_in THEN ARRAY[1] ELSE ARRAY[-1] END"
    shown = [f"CASE WHEN side >= 0 THEN a_{k.name} ELSE b_{k.name} END AS {k.name}" for k in view.keys]
    shown += [f"{_net(m)} AS {m.name}" for m in view.measures]
    shown += ["CAST(side AS BIGINT) AS n", "CAST(CASE side WHEN 0 THEN 2 ELSE 1 END AS BIGINT) AS images", *_PLACE]
    return f"SELECT {listed(shown)}\nFROM (\n{middle})\nCROSS JOIN UNNEST({sides}) AS s (side)\nWHERE a_in OR b_in"


def key(node: Node, dialect: Dialect) -> str:
    """A key's value. PostgreSQL has no text with NUL: such a character is left out, in both layers."""
    text = dialect.text(node)
    return f"REPLACE({text}, U&'\\0000', '')" if node.type.kind == "text" else text


def group_key(view: View) -> str:
    """A text of fixed length that tells keys apart, NULL from every value too; '' where there are none."""
    parts = []
    for k in view.keys:
        text = k.name if k.node.type.kind == "text" else f"CAST({k.name} AS STRING)"
        parts.append(f"COALESCE(CAST(CHAR_LENGTH({text}) AS STRING) || ':' || {text}, '-')")
    # A literal would be no part of the key for Flink's planner, which drops constants.
    return f"SHA256({' || '.join(parts)})" if parts else "SUBSTRING(CAST(part AS STRING), 1, 0)"


_PLACE = ("chunk", "part", "place", "appended_at")


def _position(view: View) -> list[str]:
    moment = name(APPENDED_AT)
    return [
        f"{chunk(moment, view.seconds)} AS chunk",
        f"{name(PARTITION)} AS part",
        f"{name(OFFSET)} AS place",
        f"{moment} AS appended_at",
    ]


def _used(view: View) -> set[str]:
    nodes = [k.node for k in view.keys] + [m.node for m in view.measures] + ([view.filter] if view.filter else [])
    return {n.value for node in nodes for n in node.walk() if n.op == "column"}


def _value(measure: Measure, value: str) -> str:
    """What one image adds to a measure: never NULL for sums and counts."""
    if measure.kind in {"min", "max"}:
        return value
    if measure.kind == "count":
        return f"CAST(CASE WHEN {value} IS NULL THEN 0 ELSE 1 END AS BIGINT)"
    return f"COALESCE({value}, CAST(0 AS {written(measure.node.type, 'flink')}))"


def _net(measure: Measure) -> str:
    """What a row adds: the value that came less the one that went."""
    zero = f"CAST(0 AS {'BIGINT' if measure.kind == 'count' else written(measure.node.type, 'flink')})"
    came = f"CASE WHEN side >= 0 THEN {_value(measure, f'a_{measure.name}')} ELSE {zero} END"
    went = f"CASE WHEN side <= 0 THEN {_value(measure, f'b_{measure.name}')} ELSE {zero} END"
    return f"({came} - {went})"


def _sum(measure: Measure) -> str:
    if measure.kind in {"min", "max"}:
        whole = f"{measure.kind.upper()}({measure.name})"
        return f"CAST({whole} AS STRING) || '+00'" if measure.type.kind == "timestamp" else whole
    return f"CAST(SUM({measure.name}) AS {written(measure.type, 'flink')})"


def _stored_key(column: str, node: Node) -> str:
    # Times go as text, and PostgreSQL reads them by the column's type: no JVM's time zone in between.
    value = f"MAX({column})"
    return (f"CAST({value} AS STRING) || '+00'" if node.type.kind == "timestamp" else value) + f" AS {column}"


def _sent(type_: Type) -> str:
    return "STRING" if type_.kind == "timestamp" else written(type_, "flink")


def _all(columns: Iterable[str]) -> str:
    return ", ".join(map(name, columns))
