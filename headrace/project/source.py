"""Sources: what flows into the lake, one YAML file per source in `lake/sources/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.contract import Contract
from headrace.project.located import Located, read

# kind → how its changes come: from the database's log, by pulls on a schedule, or as events that services send.
KINDS = {"postgresql": "cdc", "mariadb": "cdc", "jdbc": "cron", "files": "cron", "events": "events"}
_SOURCE_KEYS = {"kind", "connection", "tables", "schedule", "description", "owner"}
_CONNECTION_KEYS = {"local", "url", "database", "path", "source"}
_TABLE_KEYS = {"from", "watermark", "format"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Table:
    """One landed table: the name users' SQL says, where it comes from, and the topic it travels on."""

    name: str
    source: str
    origin: str  # schema.table in the database, a glob below the folder, or the topic of events
    topic: str
    contract: Contract
    place: Place
    watermark: str = ""  # cron: the column whose growth tells new rows
    format: str = ""  # files: csv, json or parquet


@dataclass(frozen=True)
class Source:
    """One service's data: how to reach it and its tables. `url` still holds ${NAME} where a secret belongs."""

    name: str
    kind: str
    tables: tuple[Table, ...]
    place: Place
    url: str = ""
    path: str = ""  # files: the folder, relative to the project
    database: str = ""
    server: str = ""  # the source whose database server this one shares
    local: bool = False  # the embedded platform starts a server of this kind for it
    schedule: str = "@hourly"  # cron sources: when the pull is due

    @property
    def mode(self) -> str:
        """'cdc', 'cron' or 'events'."""
        return KINDS[self.kind]


def read_source(path: Path, contracts: dict[str, Contract]) -> Source:
    """Reads one source; raises HeadraceError with every mistake in the file, each at its line."""
    doc = read(path)
    value: dict[str, object] = doc.value  # type: ignore[assignment]
    name, problems = path.stem, list(_unknown(doc, (), _SOURCE_KEYS))
    if not _NAME.fullmatch(name):
        problems.append(Problem(f"{name!r} can't name a source", Place(path), "lower case letters, digits and _"))
    kind = str(value.get("kind", ""))
    if kind not in KINDS:
        raise HeadraceError(*problems, Problem(f"no such kind of source {kind!r}", doc.place("kind"), did_you_mean(kind, KINDS)))
    connection = value.get("connection") or {}
    if not isinstance(connection, dict):
        raise HeadraceError("`connection` must be a mapping", place=doc.place("connection"))
    problems += _unknown(doc, ("connection",), _CONNECTION_KEYS)
    problems += _connection(doc, kind, connection)
    tables = value.get("tables")
    if not isinstance(tables, dict) or not tables:
        raise HeadraceError(*problems, Problem("a source needs `tables`", doc.place("tables"), "tables:\n  orders: {from: public.orders}"))
    built = []
    for table, entry in tables.items():
        entry = {"from": entry} if isinstance(entry, str) else entry or {}
        keys = ("tables", str(table))
        problems += _unknown(doc, keys, _TABLE_KEYS, entry)
        if table not in contracts:
            hint = did_you_mean(str(table), contracts) + f"\nwrite schemas/{table}.yaml"
            problems.append(Problem(f"table {table!r} has no contract", doc.place(*keys), hint))
            continue
        origin = str(entry.get("from", table))
        if KINDS[kind] == "cdc" and "." not in origin:
            problems.append(Problem(f"{origin!r} needs its schema", doc.place(*keys, "from"), f"such as public.{origin}"))
        if kind == "jdbc" and entry.get("watermark") not in contracts[table].names:
            hint = "name the column that grows with every change: " + ", ".join(contracts[table].names)
            problems.append(Problem(f"table {table!r} needs a `watermark` column of its contract", doc.place(*keys, "watermark"), hint))
        format = str(entry.get("format", "csv" if kind == "files" else ""))
        if format not in {"", "csv", "json", "parquet"}:
            problems.append(Problem(f"no such format {format!r}", doc.place(*keys, "format"), "csv, json or parquet"))
        topic = f"{name}.{origin}" if KINDS[kind] == "cdc" else origin if kind == "events" else f"{name}.{table}"
        watermark = str(entry.get("watermark", ""))
        built.append(Table(str(table), name, origin, topic, contracts[table], doc.place(*keys), watermark, format))
    if problems:
        raise HeadraceError(*problems)
    return Source(
        name=name,
        kind=kind,
        tables=tuple(built),
        place=doc.place("kind"),
        url=str(connection.get("url", "")),
        path=str(connection.get("path", "")),
        database=str(connection.get("database", name)),
        server=str(connection.get("source", "")),
        local=bool(connection.get("local", False)),
        schedule=str(value.get("schedule", "@hourly")),
    )


def _connection(doc: Located, kind: str, connection: dict[str, object]) -> list[Problem]:
    at = doc.place("connection")
    if kind == "files" and not connection.get("path"):
        return [Problem("a source of files needs connection.path", at, "connection: {path: data/price-lists}")]
    if kind in {"postgresql", "mariadb"} and bool(connection.get("url")) == bool(connection.get("local")):
        hint = "connection: {url: 'postgresql://user:${PASSWORD}@host:5432/database'}\nor, to try it out: connection: {local: true}"
        return [Problem(f"a {kind} source needs connection.url or connection.local", at, hint)]
    if kind == "jdbc" and bool(connection.get("url")) == bool(connection.get("source")):
        hint = "connection: {url: an address that SQLAlchemy takes}\nor, on the server of another source: connection: {source: payments, database: loyalty}"
        return [Problem("a jdbc source needs connection.url or connection.source", at, hint)]
    url = str(connection.get("url", ""))
    secret = re.search(r"://[^:/@]+:([^@]+)@", url)
    if secret and not re.fullmatch(r"\$\{\w+\}", secret[1]):
        hint = "put it into the environment and say ${NAME} here"
        return [Problem("a password must not stand in a project file", doc.place("connection", "url"), hint)]
    return []


def _unknown(doc: Located, keys: tuple[str, ...], allowed: set[str], value: object = None) -> list[Problem]:
    if value is None:
        value = doc.value
        for key in keys:
            value = value.get(key) or {}  # type: ignore[union-attr]
    if not isinstance(value, dict):
        return [Problem("this must be a mapping", doc.place(*keys))]
    extra = [str(key) for key in value if key not in allowed]
    return [Problem(f"no such setting {key!r}", doc.place(*keys, key), did_you_mean(key, allowed)) for key in extra]
