"""The Spark SQL that makes typed rows of landed JSON: one row per change, or one per key with the latest state.

Nothing here starts an engine; every function returns text.
"""

from __future__ import annotations

from headrace.lake.arrivals import Floor, Offsets
from headrace.project import Column, Contract

# What a current table keeps beside the contract's columns. A row with `_deleted` is a tombstone, or a repeated event.
METADATA = (
    "_op STRING", "_event_time TIMESTAMP", "_appended_at TIMESTAMP", "_epoch BIGINT", "_position STRING",
    "_partition INT", "_offset BIGINT", "_deleted BOOLEAN",
)  # fmt: skip
ORDER = ("_epoch", "_position", "_partition", "_offset")
OWN = ("op", "event_time", "appended_at")  # columns of every changes view; a contract's column of that name gives way
_LANDED = "op, event_time, appended_at, epoch, position, partition, offset, transaction_id"
DATA = "('c', 'u', 'd', 'r')"


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(value: str) -> str:
    """A quoted identifier."""
    return "`" + value.replace("`", "``") + "`"


def table(path: str, version: int | None = None) -> str:
    """A Delta table by its path, at one version or at its newest."""
    return f"delta.{name(path)}" + (f" VERSION AS OF {version}" if version is not None else "")


def within(since: Offsets, until: Offsets) -> str:
    """The condition since <= offset < until, partition by partition; partitions that `until` lacks are out."""
    parts = [
        f"(partition = {p}" + (f" AND offset >= {since[p]}" if since.get(p) else "") + f" AND offset < {end})"
        for p, end in sorted(until.items())
        if end > since.get(p, 0)
    ]
    return f"({' OR '.join(parts)})" if parts else "false"


def changes(contract: Contract, landing: str, since: Offsets, until: Offsets, where: str = "") -> str:
    """Data rows of a range of landing, with images as structs: `a` (after), `b` (before) and `k` (the key).

    `where` is a condition on landing's columns that leaves more of them out.
    """
    schema, key = _schema(contract.columns), _schema(tuple(c for c in contract.columns if c.key))
    return (
        f"SELECT {_LANDED}, from_json(after, {schema}) AS a, from_json(before, {schema}) AS b,\n"
        f"from_json(key, {key}) AS k FROM {table(landing)} WHERE op IN {DATA} AND {within(since, until)}"
        + (f" AND {where}" if where else "")
    )


def flat(contract: Contract, landing: str, until: Offsets) -> str:
    """The view `<table>_changes`: after-image, or before-image of a delete, with op, event_time and appended_at."""
    columns = [f"{_either(c, 'op = ' + text('d'))} AS {name(c.name)}" for c in contract.columns if c.name not in OWN]
    columns += OWN
    # An after-image that broke the contract was not landed (it is in quarantine): such a change contributes nothing.
    return f"SELECT {', '.join(columns)} FROM ({changes(contract, landing, {}, until)}) WHERE op = 'd' OR a IS NOT NULL"


def images(contract: Contract, landing: str, since: Offsets, until: Offsets, floor: Floor | None = None) -> str:
    """One row per change and key: typed columns, METADATA and `_transaction`. Rows below the floor come out deleted.

    An update that moves a row to another key is also a delete of the old key. A change without an after-image that kept
    the contract takes the key away too: its old image is no longer true, the new one is in quarantine.
    """
    keys = [c for c in contract.columns if c.key]
    # Debezium itself splits a change of the primary key; this is for contracts whose key is another unique column.
    there = " AND ".join(f"b.{name(c.name)} IS NOT NULL" for c in keys)
    differs = " OR ".join(f"NOT b.{name(c.name)} <=> a.{name(c.name)}" for c in keys)
    columns = [f"{_either(c, 'old')} AS {name(c.name)}" for c in contract.columns]
    columns += [
        "op AS _op",
        "event_time AS _event_time",
        "appended_at AS _appended_at",
        "coalesce(epoch, 0L) AS _epoch",
    ]
    columns += ["coalesce(position, '') AS _position", "partition AS _partition", "offset AS _offset"]
    columns += ["transaction_id AS _transaction"]
    columns += [f"old OR {below(floor, 'coalesce(epoch, 0L)', coalesced('position'))} AS _deleted"]
    return (
        f"SELECT {', '.join(columns)}\nFROM ({changes(contract, landing, since, until)})\n"
        "LATERAL VIEW explode(CASE WHEN op = 'd' OR a IS NULL THEN array(true) "
        f"WHEN op = 'u' AND {there} AND ({differs}) THEN array(true, false) ELSE array(false) END) AS old"
    )


def latest(contract: Contract, landing: str, since: Offsets, until: Offsets, floor: Floor | None) -> str:
    """One row per key: the last in order of epoch and source position, never of arrival."""
    keys, order = ", ".join(map(name, contract.key)), ", ".join(f"{o} DESC" for o in ORDER)
    inner = images(contract, landing, since, until, floor)
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {order}, _deleted) AS _rank FROM (\n{inner})"
    return f"SELECT {all_columns(contract)} FROM ({ranked}) WHERE _rank = 1"


def merge(contract: Contract, current: str, landing: str, since: Offsets, until: Offsets, floor: Floor | None) -> str:
    """The statement that folds a range of landing into a current table. Running it again changes nothing."""
    keys = " AND ".join(f"t.{name(k)} = s.{name(k)}" for k in contract.key)
    newer = f"struct({_each('s', ORDER)}) > struct({_each('t', ORDER)})"
    lines = [
        f"MERGE INTO {table(current)} AS t USING (\n{latest(contract, landing, since, until, floor)}\n) AS s ON {keys}",
        f"WHEN MATCHED AND {newer} THEN UPDATE SET *",
    ]
    if floor:
        gone = f"NOT t._deleted AND {below(floor, 't._epoch', 't._position')}"
        lines.append(f"WHEN MATCHED AND {gone} THEN UPDATE SET t._deleted = true")
    lines.append("WHEN NOT MATCHED THEN INSERT *")
    if floor:
        lines.append(f"WHEN NOT MATCHED BY SOURCE AND {gone} THEN UPDATE SET t._deleted = true")
    return "\n".join(lines)


def below(floor: Floor | None, epoch: str, position: str) -> str:
    """The condition that a row lies below the floor; false without one."""
    if floor is None:
        return "false"
    return f"({epoch} < {floor.epoch} OR ({epoch} = {floor.epoch} AND {position} < {text(floor.position)}))"


def all_columns(contract: Contract) -> str:
    return ", ".join([*map(name, contract.names), *(m.split()[0] for m in METADATA)])


def coalesced(column: str) -> str:
    return f"coalesce({column}, '')"


def typed(column: Column, value: str) -> str:
    """A JSON value that was read as text, as the column's type; NULL when it is none (landing lets good ones in)."""
    if column.is_decimal or column.spark == "STRING":
        return value  # decimals are read as such, to the last digit, whether they were numbers or strings
    if column.logical == "date":
        value = f"trim(TRAILING 'Z' FROM {value})"
    return f"try_cast({value} AS {column.spark})"


def _either(column: Column, old: str) -> str:
    field = name(column.name)
    before = f"coalesce(b.{field}, k.{field})" if column.key else f"b.{field}"
    return f"CASE WHEN {old} THEN {typed(column, before)} ELSE {typed(column, 'a.' + field)} END"


def _schema(columns: tuple[Column, ...]) -> str:
    return text(", ".join(f"{name(c.name)} {c.spark if c.is_decimal else 'STRING'}" for c in columns))


def _each(alias: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{alias}.{c}" for c in columns)
