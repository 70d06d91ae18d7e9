"""Asks a PostgreSQL or MariaDB server for its tables: keys, types, what may lack, and what the log can't bring."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from headrace.errors import HeadraceError
from headrace.ingest import database, topics
from headrace.ingest.source_columns import catalogue, declare
from headrace.project.found import FoundColumn, FoundSource, FoundTable
from headrace.pulls import query
from headrace.sources import carried
from headrace.sources.asked import Asked
from headrace.sql.bounds import Bounds, bounds

_POSTGRESQL = """
SELECT nspname, relname, relkind::text, relpersistence::text, relispartition, has_table_privilege(c.oid, 'SELECT'),
       coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY nspname <> 'public', nspname, relname"""
_MARIADB = """
SELECT table_schema, table_name, table_type, '', 0, 1, table_comment
FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"""
_TOPIC = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "VIEW": "a view", "SEQUENCE": "a sequence"}
_HINT = "postgresql://… or mariadb://…"
_LOG = {
    "postgresql": ("SHOW wal_level", ("logical",), "wal_level is {0}: set wal_level = logical, or say --pull"),
    "mariadb": (
        "SELECT @@log_bin, @@binlog_format, @@binlog_row_image",
        (1, "ROW", "FULL"),
        "log_bin, binlog_format, binlog_row_image are {0}, {1}, {2}, not 1, ROW, FULL: set them, or say --pull",
    ),
}


def captured(asked: Asked) -> FoundSource:
    """The tables of a database whose log is read. Raises HeadraceError when it can't be asked."""
    url = {"local": True} if asked.local else {"url": asked.url}
    name = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}[asked.kind]
    about = f"The {asked.name} service's {name} database: every committed change is read from its log."
    return _found(asked, FoundSource(asked.kind, url, about))


def pulled(asked: Asked) -> FoundSource:
    """As `captured`, for tables that are pulled by a column that grows."""
    about = f"The {asked.name} service's database: rows are pulled by the column that grows with every change."
    return _found(asked, FoundSource("jdbc", {"url": asked.url}, about))


def _found(asked: Asked, source: FoundSource) -> FoundSource:
    url = asked.project.addresses.source(asked.source)
    if not urlsplit(url).hostname:
        raise HeadraceError("the address names no host", hint=f"{asked.kind}://user:${{PASSWORD}}@host:port/database")
    if not urlsplit(url).path.strip("/"):
        url = urlsplit(url)._replace(path=f"/{topics.database(asked.source)}").geturl()
    try:
        with query.engine(url).connect() as connection:
            kind = connection.dialect.name.replace("mysql", "mariadb")
            if kind not in _LOG:
                raise HeadraceError(f"a {kind} database can't be asked yet", hint=_HINT)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", sa.exc.SAWarning)  # a type that SQLAlchemy does not know: we say so
                tables = tuple(_Database(asked, connection, kind).tables())
            return replace(source, tables=tables, notes=_log(connection, kind) if asked.kind != "jdbc" else ())
    except (NoSuchModuleError, ImportError):
        raise HeadraceError(f"there is no driver for {url.partition(':')[0]}://", hint=_HINT) from None
    except SQLAlchemyError as error:
        said = error.__cause__ if isinstance(error.__cause__, Exception) else error
        if database.refuses(said):
            hint = "is the user right, and the secret in the environment?"
            raise HeadraceError(f"{asked.name}: the database refuses us: {database.words(said)}", hint=hint) from None
        hint = "is it running, and are host, port and database right?"
        raise HeadraceError(f"{asked.name}: the database can't be asked: {database.words(said)}", hint=hint) from None


def _log(connection: sa.Connection, kind: str) -> tuple[str, ...]:
    """What the database lacks for its log to be read."""
    question, wanted, message = _LOG[kind]
    row = connection.exec_driver_sql(question).one()
    return () if tuple(row) == wanted else (message.format(*row),)


class _Database:
    """One database while it is asked."""

    def __init__(self, asked: Asked, connection: sa.Connection, kind: str) -> None:
        self.asked, self.connection, self.kind = asked, connection, kind
        self.log = asked.kind != "jdbc"
        self.inspector = sa.inspect(connection)

    def tables(self) -> Iterator[FoundTable]:
        rows = self.connection.exec_driver_sql(_POSTGRESQL if self.kind == "postgresql" else _MARIADB).all()
        for schema, name, form, persistence, partition, readable, comment in rows:
            origin = f"{schema}.{name}" if self.log or self.kind == "postgresql" else name
            if name == "headrace_marker" or name.startswith("headrace_signal"):
                continue  # our own
            found = FoundTable(name, origin, description=" ".join(comment.split()))
            if not self.asked.wants(name, origin):
                yield found  # its name is all that is asked for
            elif why := self._refusal(origin, form, persistence, partition, readable):
                yield replace(found, skip=why)
            else:
                yield self._table(found, schema)

    def _refusal(self, origin: str, form: str, persistence: str, partition: bool, readable: bool) -> str:
        if self.log and form in _KINDS:
            return f"it is {_KINDS[form]}: the log has the tables behind it"
        if form in _KINDS:
            return f"it is {_KINDS[form]}, which has no primary key"
        if form == "p" and self.log:
            return "it is partitioned, and the log names its partitions: name those with --table"
        if partition and (not self.asked.tables or not self.log):
            return (
                f"it is a partition{': take it with --table' if self.log else ' of a table that is pulled as a whole'}"
            )
        if persistence == "u" and self.log:
            return "it is unlogged: its changes are not in the log"
        if not readable:
            return "the user may not read it: GRANT SELECT"
        if self.log and not _TOPIC.fullmatch(origin):
            return "its name can't be a topic's: letters, digits, - and _"
        if "." in origin.partition(".")[2]:
            return "its name has a point in it"
        return ""

    def _table(self, found: FoundTable, schema: str) -> FoundTable:
        cursor = self.connection.connection.cursor()
        rows = catalogue(cursor, self.kind, schema, found.name)
        cursor.close()
        if self.log and (unread := [r[0] for r in rows if carried.unread(self.kind, r[1].lower())]):
            return replace(found, skip=f"the log's reader does not know the type of its column {', '.join(unread)}")
        inspector, at = self.inspector, {"schema": schema}
        key = inspector.get_pk_constraint(found.name, **at)["constrained_columns"]
        known = {c["name"]: c for c in inspector.get_columns(found.name, **at)}
        unique, indexed = self._indexes(found.name, schema)
        limits = bounds(self._checks(found.name, schema), "postgres" if self.kind == "postgresql" else "mysql")
        columns: list[FoundColumn] = []
        left_out: list[tuple[str, str]] = []
        for row in rows:
            name, type_, full, nullable = row[0], row[1].lower(), row[2], row[5]
            details: Any = known.get(name, {})
            values = tuple(getattr(details.get("type"), "enums", ()))
            if why := carried.lost(self.kind, self.log, type_, full, "computed" in details, bool(values)):
                left_out.append((name, why))
                continue
            column = carried.column(declare(*row).column, self.log, type_, bool(values))
            columns.append(
                FoundColumn(
                    replace(column, required=nullable == "NO", key=name in key),
                    carried.physical(self.kind, type_, full),
                    " ".join((details.get("comment") or "").split()),
                    carried.note(column, type_, full, self.log),
                    (name,) in unique and key != [name],
                    name in indexed or key[:1] == [name],
                    bool(details.get("identity")) or details.get("autoincrement") is True,
                    Bounds(values) if values else limits.get(name, Bounds()),
                )
            )
        there = {c.name for c in columns if c.column.required}  # a NULL makes no two rows alike
        if lost := [f"{n} ({why})" for n, why in left_out if n in key]:
            return replace(found, skip=f"its key can't be carried: {', '.join(lost)}")
        several = tuple(u for u in sorted(unique) if len(u) > 1 and set(u) != set(key) and set(u) <= there)
        notes = tuple(self._warnings(found.name, schema))
        left = tuple(left_out)
        return replace(found, columns=tuple(columns), left_out=left, unique=several, notes=notes)

    def _indexes(self, name: str, schema: str) -> tuple[set[tuple[str, ...]], set[str]]:
        """Columns that are unique together, and columns that an index begins with."""
        unique = {tuple(c["column_names"]) for c in self.inspector.get_unique_constraints(name, schema=schema)}
        indexed = {columns[0] for columns in unique}
        for index in self.inspector.get_indexes(name, schema=schema):
            columns = tuple(c for c in index["column_names"] if c is not None)
            whole = len(columns) == len(index["column_names"])  # else it is of an expression
            if columns and index["column_names"][0] is not None:
                indexed.add(columns[0])
            if index["unique"] and whole and not index.get("dialect_options", {}).get("postgresql_where"):
                unique.add(columns)
        return unique, indexed

    def _checks(self, name: str, schema: str) -> list[str]:
        if self.kind == "postgresql":
            return [c["sqltext"] for c in self.inspector.get_check_constraints(name, schema=schema)]
        question = "SELECT check_clause FROM information_schema.check_constraints"
        question += " WHERE constraint_schema = %s AND table_name = %s"
        return [row[0] for row in self.connection.exec_driver_sql(question, (schema, name))]

    def _warnings(self, name: str, schema: str) -> Iterator[str]:
        if self.kind == "mariadb" and self.log:
            for key in self.inspector.get_foreign_keys(name, schema=schema):
                done = {key.get("options", {}).get(event, "") for event in ("ondelete", "onupdate")}
                if done & {"CASCADE", "SET NULL"}:
                    yield "foreign-key cascades change it, and the log does not have those changes"
                    return
