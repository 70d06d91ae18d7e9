"""What the views must show, without Headrace: a plain copy of the sources in DuckDB, under the tables' own names.

Databases are read in one consistent snapshot each (Cassandra, the graph and the partner's pages have none, and nobody
writes meanwhile), price lists file by file, and events from the generator's ledger, less those whose position is in
quarantine. Nothing is read from landing, current tables or views, and nothing by the code of pulls.
"""

from __future__ import annotations

import csv
import urllib.request
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
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from deltalake import DeltaTable
from neo4j import GraphDatabase
from neo4j.time import DateTime

from demo import ledger
from headrace.lake import paths
from headrace.project import Column, Project, Source, Table

_GRAPH = {
    "delivery_areas": "MATCH (a:Area) RETURN a.id AS id, a.name AS name, a.city AS city",
    "delivers_to": "MATCH (r:Restaurant)-[d:DELIVERS_TO]->(a:Area) RETURN r.id AS restaurant_id, a.id AS area_id,"
    " toString(d.fee) AS fee, d.minutes AS minutes, d.updated_at AS updated_at",
}
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
        case "cassandra":
            yield from _cassandra(project.addresses.source(source), source)
        case "neo4j":
            yield from _neo4j(project.addresses.source(source), source)
        case "rest":
            yield from ((table, _rest(project.addresses.source(source), table)) for table in source.tables)
        case "events":
            yield from ((table, _events(project, table)) for table in source.tables)


def _postgresql(address: str, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    with psycopg.connect(address, options="-c timezone=UTC") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for table in source.tables:
            found = connection.execute(f"SELECT {', '.join(table.contract.names)} FROM {table.origin}").fetchall()  # type: ignore[arg-type]
            yield table, [tuple(_naive(value) for value in row) for row in found]


def _mariadb(address: str, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    connection = _connected(address)
    with connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        for table in source.tables:
            cursor.execute(f"SELECT {', '.join(table.contract.names)} FROM {table.origin}")
            yield table, list(cursor.fetchall())


def mariadb(project: Project, source: str) -> pymysql.Connection:
    """A connection to the source's database, in UTC; each statement sees what is committed when it begins."""
    connection = _connected(project.addresses.source(project.source(source)))
    connection.autocommit(True)
    return connection


def _connected(address: str) -> pymysql.Connection:
    parts = urlsplit(address)
    secret = unquote(parts.password or "")
    where = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": secret}
    utc = "SET time_zone = '+00:00'"
    return pymysql.connect(**where, database=parts.path[1:], charset="utf8mb4", init_command=utc)


def _cassandra(address: str, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    parts = urlsplit(address)
    user = PlainTextAuthProvider(unquote(parts.username or ""), unquote(parts.password or ""))
    cluster = Cluster([parts.hostname or ""], parts.port or 0, auth_provider=user, protocol_version=5)
    try:
        session = cluster.connect()
        for table in source.tables:
            found = session.execute(f"SELECT {', '.join(table.contract.names)} FROM {table.origin}")
            yield table, [tuple(_naive(value) for value in row) for row in found]
    finally:
        cluster.shutdown()


def _neo4j(address: str, source: Source) -> Iterable[tuple[Table, list[tuple]]]:
    parts = urlsplit(address)
    auth = (unquote(parts.username or ""), unquote(parts.password or ""))
    with GraphDatabase.driver(f"bolt://{parts.hostname}:{parts.port}", auth=auth) as driver:
        for table in source.tables:
            found = [record.data() for record in driver.execute_query(_GRAPH[table.name]).records]  # type: ignore[arg-type]
            yield table, [tuple(_native(c, row[c.name]) for c in table.contract.columns) for row in found]


def _rest(address: str, table: Table) -> list[tuple]:
    """All rows, page by page; of a row that comes twice the last."""
    direct, after, found = urllib.request.build_opener(urllib.request.ProxyHandler({})), 0, {}
    while after is not None:
        with direct.open(f"{address}{table.origin}?after={after}&limit=7", timeout=30) as answer:
            page = orjson.loads(answer.read())
        for row in page["data"]:
            found[row["id"]] = tuple(_read(c, row[c.name]) for c in table.contract.columns)
        after = page["meta"]["next"]
    return list(found.values())


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


def _native(column: Column, value: Any) -> Any:
    return _naive(value.to_native()) if isinstance(value, DateTime) else _read(column, value)


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
