"""One text per value, alike in the source's SQL and in DuckDB, so that both sides can be compared by a checksum.

A row is the texts of its columns, joined; its hash is 60 bits of their MD5. A table is the number of its rows and the
sum of their hashes: independent of order, and two equal rows don't cancel out. Columns whose text is not the same for
certain (floating point, documents, types that the connector encodes in its own way) are named as not compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.project import Column

# Characters that no value of a service holds in practice: between two columns, and for NULL.
BETWEEN, NULL = 31, 30
BUCKETS = 1024  # a table's rows by key, so that a difference is looked for in a thousandth of it

# Types of the source whose text is the value itself, by the contract's type. Others come encoded by the connector.
_PLAIN = {
    "postgresql": {
        "string": {"text", "varchar", "bpchar", "citext", "enum", "uuid", "inet", "cidr", "macaddr"},
        "integer": {"int2", "int4", "int8"},
        "number": {"numeric", "int2", "int4", "int8"},
        "boolean": {"bool"},
        "date": {"date"},
        "timestamp": {"timestamp", "timestamptz"},
    },
    "mariadb": {
        "string": {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum"},
        "integer": {"tinyint", "smallint", "mediumint", "int", "bigint"},
        "number": {"decimal", "tinyint", "smallint", "mediumint", "int", "bigint"},
        "boolean": {"tinyint"},
        "date": {"date"},
        "timestamp": {"datetime", "timestamp"},
    },
}


@dataclass(frozen=True)
class Compared:
    """Which of a table's columns are compared; `left_out` are those that aren't, each with its type in the source."""

    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()


def compared(kind: str, columns: tuple[Column, ...], types: dict[str, str]) -> Compared:
    """The columns that have one text on both sides; `types` are those of the source, by column."""
    good: list[Column] = []
    left: list[str] = []
    for column in columns:
        exact = column.logical != "number" or column.is_decimal
        if exact and types.get(column.name) in _PLAIN[kind].get(column.logical, ()):
            good.append(column)
        else:
            left.append(f"{column.name} ({types.get(column.name, 'missing')})")
    return Compared(tuple(good), tuple(left))


def postgresql(column: Column) -> str:
    """The text of a column in PostgreSQL; timestamps without a zone are UTC, as the connector takes them."""
    name = '"' + column.name.replace('"', '""') + '"'
    if column.is_decimal:
        return f"({name}::numeric({column.precision},{column.scale}))::text"
    if column.logical == "boolean":
        return f"CASE WHEN {name} THEN '1' WHEN NOT {name} THEN '0' END"
    if column.logical == "timestamp":
        micros = f"((extract(epoch FROM {name}) * 1000000)::bigint)::text"
        return f"CASE WHEN isfinite({name}) THEN {micros} ELSE {name}::text END"
    if column.logical == "date":
        return f"{name}::text"
    # concat prints a value as the log does; a cast would strip the blanks of char(n).
    return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END" if column.logical == "string" else f"{name}::text"


def mariadb(column: Column) -> str:
    """The text of a column in MariaDB, in a session whose time zone is UTC."""
    name = "`" + column.name.replace("`", "``") + "`"
    if column.is_decimal:
        return f"CAST(CAST({name} AS DECIMAL({column.precision},{column.scale})) AS CHAR CHARACTER SET utf8mb4)"
    if column.logical == "boolean":
        return f"IF({name} IS NULL, NULL, IF({name}, '1', '0'))"
    if column.logical == "timestamp":
        return f"CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {name}) AS CHAR CHARACTER SET utf8mb4)"
    if column.logical == "date":
        return f"CONVERT(DATE_FORMAT({name}, '%Y-%m-%d') USING utf8mb4)"
    return f"CONVERT({name} USING utf8mb4)"


def duckdb(column: Column, value: str) -> str:
    """The text of a landed value, which `value` reads from JSON as text."""
    if column.is_decimal:
        return f"CAST(CAST({value} AS DECIMAL({column.precision},{column.scale})) AS VARCHAR)"
    if column.logical == "boolean":
        return f"CASE WHEN {value} IN ('true', '1') THEN '1' WHEN {value} IN ('false', '0') THEN '0' END"
    if column.logical == "timestamp":
        return f"CAST(epoch_us(CAST({value} AS TIMESTAMPTZ)) AS VARCHAR)"
    if column.logical == "date":
        return f"rtrim({value}, 'Z')"
    return value


def hashed(kind: str, texts: list[str]) -> str:
    """The hash of a row in the dialect `kind`, from the texts of its columns: 60 bits as a whole number."""
    character = {"postgresql": "chr({})", "mariadb": "CHAR({} USING utf8mb4)", "duckdb": "chr({})"}[kind].format
    joined = f"concat_ws({character(BETWEEN)}, {', '.join(f'coalesce({t}, {character(NULL)})' for t in texts)})"
    return {
        "postgresql": f"('x' || left(md5({joined}), 15))::bit(60)::bigint",
        "mariadb": f"CAST(CONV(LEFT(MD5({joined}), 15), 16, 10) AS UNSIGNED)",
        "duckdb": f"CAST('0x' || left(md5({joined}), 15) AS BIGINT)",
    }[kind]


def bucket(kind: str, key: tuple[Column, ...], texts: list[str]) -> str:
    """Which of BUCKETS a row belongs to, by its key. One whole number needs no second hash."""
    if len(key) == 1 and key[0].logical == "integer":
        whole = {"postgresql": "bigint", "mariadb": "SIGNED", "duckdb": "BIGINT"}[kind]
        return f"mod(abs(CAST({texts[0]} AS {whole})), {BUCKETS})"
    return f"mod({hashed(kind, texts)}, {BUCKETS})"
