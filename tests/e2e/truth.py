"""What the views must show, without Headrace: a plain copy of the sources in DuckDB, under the tables' own names.

Databases are read in one consistent snapshot each, price lists file by file, and events from the generator's ledger,
less those whose position is in quarantine. Nothing is read from landing, current tables or views.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import orjson
import psycopg
import pyarrow as pa
import pymysql
from deltalake import DeltaTable

from demo import ledger
from headrace.lake import paths
from headrace.project import Column, Project, Source, Table

_ARROW = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),  # UTC, without saying so: then CAST(x AS DATE) asks no time zone
}


def copy(project: Project) -> duckdb.DuckDBPyConnection:
    """A DuckDB database with every table of the project as its source has it now."""
    database = duckdb.connect()
    for source in project.sources:
        for table, rows in _rows(project, source):
            kinds = pa.schema([(c.name, _kind(c)) for c in table.contract.columns])
            columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
            made = pa.table([pa.array(c, k) for c, k in zip(columns, kinds.types, strict=True)], schema=kinds)
            database.register("copied", made)
            database.execute(f'CREATE TABLE "{table.name}" AS SELECT * FROM copied')
            database.unregister("copied")
    return database


def quarantined(project: Project, table: str) -> list[tuple[int, int]]:
    """(partition, offset) of each row in a table's quarantine, in order, repeats and all."""
    path = paths.quarantine(project, table)
    if not Path(path).exists():
        return []
    rows = DeltaTable(path).to_pyarrow_table(columns=["partition", "offset"]).to_pylist()
    return sorted((row["partition"], row["offset"]) for row in rows)


def sent(project: Project, table: Table) -> list[dict[str, Any]]:
    """The ledger's lines of a table's topic, in order of partition and offset."""
    lines = (line for line in ledger.read(project.state / "demo" / "ledger.jsonl") if line["topic"] == table.topic)
    return sorted(lines, key=lambda line: (line["partition"], line["offset"]))


def _rows(project: Project, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    match source.kind:
        case "postgresql":
            yield from _postgresql(project.addresses.source(source), source)
        case "mariadb" | "jdbc":
            yield from _mariadb(project.addresses.source(source), source)
        case "files":
            yield from ((table, _files(project.root / source.path, table)) for table in source.tables)
        case "events":
            yield from ((table, _events(project, table)) for table in source.tables)


def _postgresql(address: str, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    with psycopg.connect(address, options="-c timezone=UTC") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for table in source.tables:
            found = connection.execute(f"SELECT {', '.join(table.contract.names)} FROM {table.origin}").fetchall()  # type: ignore[arg-type]
            yield table, [tuple(_naive(value) for value in row) for row in found]


def _mariadb(address: str, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    parts = urlsplit(address)
    secret = unquote(parts.password or "")
    where = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": secret}
    utc = "SET time_zone = '+00:00'"
    connection = pymysql.connect(**where, database=parts.path[1:], charset="utf8mb4", init_command=utc)
    with connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        for table in source.tables:
            cursor.execute(f"SELECT {', '.join(table.contract.names)} FROM {table.origin}")
            yield table, list(cursor.fetchall())


def _files(folder: Path, table: Table) -> list[tuple]:
    """The last line of each key, in order of the files' names."""
    latest: dict[tuple, tuple] = {}
    for file in sorted(folder.glob(table.origin)):
        with file.open(newline="", encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                row = {c.name: _read(c, line[c.name]) for c in table.contract.columns}
                latest[tuple(row[k] for k in table.contract.key)] = tuple(row.values())
    return list(latest.values())


def _events(project: Project, table: Table) -> list[tuple]:
    """The first of each event_id among what was sent and not rejected."""
    rejected = set(quarantined(project, table.name))
    first: dict[str, tuple] = {}
    for line in sent(project, table):
        if (line["partition"], line["offset"]) not in rejected:
            value = orjson.loads(line["value"])
            row = tuple(_read(c, value.get(c.name)) for c in table.contract.columns)
            first.setdefault(value[table.contract.event_id], row)
    return list(first.values())


def _kind(column: Column) -> pa.DataType:
    return pa.decimal128(column.precision, column.scale) if column.is_decimal else _ARROW[column.logical]


def _read(column: Column, value: Any) -> Any:
    """A value of JSON or CSV in the column's type."""
    if value is None:
        return None
    if column.is_decimal:
        return Decimal(value)
    match column.logical:
        case "integer":
            return int(value)
        case "number":
            return float(value)
        case "date":
            return date.fromisoformat(value)
        case "timestamp":
            return _naive(datetime.fromisoformat(value))
    return value


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
