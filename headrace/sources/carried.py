"""Types of PostgreSQL and MariaDB as their values reach the lake, by the log (Debezium) or by a pull: what a contract
may say of a column, and which columns it should leave out."""

from __future__ import annotations

from headrace.project import Column

# Types of PostgreSQL that come with their value; arrays of them do, too. Enumerations are found by their labels.
_CARRIED = set(
    "int2 int4 int8 oid float4 float8 numeric money bool date timestamp timestamptz time timetz interval json jsonb "
    "text varchar bpchar char name citext uuid xml bytea inet cidr macaddr macaddr8 hstore ltree tsvector int4range "
    "int8range numrange tsrange tstzrange daterange point geometry geography vector halfvec".split()
)
_UNREAD = {"inet4", "inet6"}  # of MariaDB, which the log's reader does not know
# What a pull gives as text, and the log does not: its driver has no number or object for them.
_TEXT_IN_PULLS = {"interval", "point", "geometry", "geography", "vector", "halfvec"}
_BYTES = {"bytea", "blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary"}
_PLAIN = {
    "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision",
    "bool": "boolean", "bpchar": "char",
}  # fmt: skip


def column(declared: Column, log: bool, type_: str, listed: bool) -> Column:
    """The column as a contract should have it; `listed`: it is of an enumeration."""
    text = listed or (not log and type_ in _TEXT_IN_PULLS)
    return Column(declared.name, "string") if text else declared


def lost(kind: str, log: bool, type_: str, full: str, generated: bool, listed: bool) -> str:
    """Why a column's values don't come, or not as they are; '' when they do."""
    plain = type_.removeprefix("_")
    if generated and log:
        return "it is generated, which the log does not have: compute it in a view"
    if kind == "postgresql" and plain not in _CARRIED and not listed:
        return f"values of type {physical(kind, type_, full)} are not carried"
    if not log and kind == "mariadb" and full.startswith("bit("):
        return f"values of type {full} are not carried by a pull"
    return ""


def unread(kind: str, type_: str) -> bool:
    """Whether the log's reader stumbles over a table with such a column, and the whole source with it."""
    return kind == "mariadb" and type_ in _UNREAD


def physical(kind: str, type_: str, full: str) -> str:
    """A type as people write it."""
    if kind != "postgresql":
        return full
    plain = type_.removeprefix("_")
    shown = _PLAIN.get(plain, plain)
    return f"{shown}[]" if type_ != plain else shown


def note(column: Column, type_: str, full: str, log: bool) -> str:
    """What a reader of the contract should know of a column's values."""
    if type_ == "interval" and log:
        return "Comes as a number of microseconds, a month as 30.4 days"
    if type_ in {"numeric", "decimal"} and column.logical == "string":
        return "Its digits as text: the source sets no limit to them, or one above 38"
    if type_ in _BYTES and log:
        return "Comes as base64"
    return "Values above 9223372036854775807 go to quarantine" if type_ == "bigint" and "unsigned" in full else ""
