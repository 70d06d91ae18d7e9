"""A CDC source's own database: connecting to it, and what its tables need before their log can be read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql

from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.project import Project, Source, Table, tls

SECONDS = 5  # to connect; a database that takes longer counts as away
_LOCK_SECONDS = 2  # to wait for a lock on a service's table
_CREATE = "CREATE TABLE IF NOT EXISTS {} (name varchar(64) PRIMARY KEY, marker varchar(64) NOT NULL, at {} NOT NULL)"

_SIGNALS = "CREATE TABLE IF NOT EXISTS {} (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))"


@contextmanager
def connect(project: Project, source: Source, autocommit: bool = True) -> Iterator[Any]:
    """A cursor on the source's database, each statement committed at once unless the caller commits itself.

    Raises HeadraceError naming the source's file and line when it can't be reached or refuses the user.
    """
    address = project.addresses.source(source)
    parts, secured = urlsplit(address), tls.client(source.kind, address)
    base = topics.database(source)
    common: dict[str, Any] = {"host": parts.hostname, "user": unquote(parts.username or ""), **secured}
    common["password"] = unquote(parts.password or "")
    try:
        if source.kind == "postgresql":
            connection: Any = psycopg.connect(
                **common, port=parts.port or 5432, dbname=base, autocommit=autocommit, connect_timeout=SECONDS
            )
        else:
            port = parts.port or 3306
            connection = pymysql.connect(
                **common, port=port, database=base, autocommit=autocommit, connect_timeout=SECONDS
            )
    except (psycopg.OperationalError, pymysql.err.MySQLError) as error:
        raise _refused(source, error) from error
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def prepare(project: Project, source: Source) -> list[str]:
    """Makes the tables for markers and signals and sets what before-images need; returns warnings about what could not
    be done.

    Idempotent. Raises HeadraceError when the database can't be reached or its log can't be read at all.
    """
    with connect(project, source) as cursor:
        warnings = _postgresql(cursor, source) if source.kind == "postgresql" else _mariadb(cursor, source)
        table = topics.signal_table(project, source)
        return warnings + _attempt(cursor, _SIGNALS.format(table), source, "make the table for signals")


def mark(project: Project, source: Source, marker: str) -> None:
    """Commits a marker row: once it is seen on the bus, everything committed before this call is there too."""
    table = topics.marker_table(source)
    statement = f"REPLACE INTO {table} (name, marker, at) VALUES ('mark', %s, now(6))"
    if source.kind == "postgresql":
        insert = f"INSERT INTO {table} (name, marker, at) VALUES ('mark', %s, now())"
        statement = f"{insert} ON CONFLICT (name) DO UPDATE SET marker = EXCLUDED.marker, at = now()"
    with connect(project, source) as cursor:
        try:
            cursor.execute(statement, (marker,))
        except (psycopg.Error, pymysql.err.MySQLError) as error:
            message = f"source {source.name!r}: no marker could be written to {table}: {words(error)}"
            hint = f"the user needs to write {table}; headrace up   makes it where it may"
            raise HeadraceError(message, place=source.place, hint=hint) from error


def signal(project: Project, source: Source, table: Table, id: str) -> None:
    """Asks the connector to snapshot one table beside its stream; asked again with the same id, nothing happens.

    Raises HeadraceError when the database can't be reached or the row can't be written.
    """
    there = topics.signal_table(project, source)
    collections = json.dumps({"type": "incremental", "data-collections": [re.escape(table.origin)]})
    conflict = "ON CONFLICT DO NOTHING" if source.kind == "postgresql" else "ON DUPLICATE KEY UPDATE id = id"
    with connect(project, source) as cursor:
        try:
            cursor.execute(f"INSERT INTO {there} VALUES (%s, 'execute-snapshot', %s) {conflict}", (id, collections))
        except (psycopg.Error, pymysql.err.MySQLError) as error:
            message = f"source {source.name!r}: the snapshot could not be asked for in {there}: {words(error)}"
            hint = f"the user needs to write {there}; headrace up   makes it where it may"
            raise HeadraceError(message, place=source.place, hint=hint) from error


def drop_slot(project: Project, source: Source) -> None:
    """Lets a PostgreSQL source's log go: what is not read yet is lost to us, and only a new snapshot makes it good.

    Waits until the connector has left it. Nothing to do where there is none, or for MariaDB, which keeps its log by its
    own rules. Raises HeadraceError when somebody else reads from the slot.
    """
    if source.kind != "postgresql":
        return
    name, deadline = topics.own_name(project, source), time.monotonic() + 30
    query = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
    with connect(project, source) as cursor:
        while True:
            try:
                cursor.execute(query, (name,))
                cursor.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (name,))
                if cursor.fetchone() is None:
                    return
                said = "somebody reads from it"
            except psycopg.errors.ObjectInUse as error:  # between the question and the drop
                said = words(error)
            except psycopg.Error as error:
                raise HeadraceError(f"slot {name} could not be dropped: {words(error)}", place=source.place) from error
            if time.monotonic() > deadline:
                raise HeadraceError(f"slot {name} could not be dropped: {said}", place=source.place)
            time.sleep(0.1)


def _postgresql(cursor: Any, source: Source) -> list[str]:
    level = cursor.execute("SHOW wal_level").fetchone()[0]
    if level != "logical":
        raise HeadraceError(
            f"source {source.name!r}: wal_level is {level!r}", place=source.place, hint="set wal_level = logical"
        )
    # A change of a table waits for the transactions on it, and everything that comes later waits behind the change.
    cursor.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
    warnings = _attempt(
        cursor, _CREATE.format(topics.marker_table(source), "timestamptz"), source, "make the marker table"
    )
    for table in source.tables:
        schema, _, name = table.origin.partition(".")
        found = cursor.execute(
            "SELECT relreplident FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = %s AND relname = %s",
            (schema, name),
        ).fetchone()
        if found is None:
            warnings.append(f"source {source.name!r}: there is no table {table.origin} in its database yet")
        elif found[0] not in ("f", b"f"):
            alter = f'ALTER TABLE "{schema}"."{name}" REPLICA IDENTITY FULL'
            warnings += _attempt(cursor, alter, source, f"{alter}: updates and deletes come without before-image")
    return warnings


def _mariadb(cursor: Any, source: Source) -> list[str]:
    cursor.execute("SELECT @@log_bin, @@binlog_format, @@binlog_row_image")
    log, format, image = cursor.fetchone()
    if not log or format != "ROW":
        message = f"source {source.name!r}: log_bin is {log}, binlog_format {format}"
        raise HeadraceError(message, place=source.place, hint="start MariaDB with --log-bin --binlog-format=ROW")
    warnings = (
        [] if image == "FULL" else [f"source {source.name!r}: binlog_row_image is {image}, before-images need FULL"]
    )
    warnings += _attempt(
        cursor, _CREATE.format(topics.marker_table(source), "datetime(6)"), source, "make the marker table"
    )
    for table in source.tables:
        schema, _, name = table.origin.partition(".")
        where = "FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
        cursor.execute(f"SELECT count(*) {where}", (schema, name))
        if not cursor.fetchone()[0]:
            warnings.append(f"source {source.name!r}: there is no table {table.origin} in its database yet")
        cursor.execute(
            "SELECT count(*) FROM information_schema.referential_constraints"
            " WHERE constraint_schema = %s AND table_name = %s"
            " AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET NULL'))",
            (schema, name),
        )
        if cursor.fetchone()[0]:
            warnings.append(
                f"source {source.name!r}: {table.origin} is changed by foreign-key cascades, which the log doesn't have"
            )
    return warnings


def _attempt(cursor: Any, statement: str, source: Source, what: str) -> list[str]:
    try:
        cursor.execute(statement)
    except (psycopg.errors.InsufficientPrivilege, pymysql.err.OperationalError) as error:
        return [f"source {source.name!r}: could not {what} ({words(error)})"]
    except psycopg.errors.LockNotAvailable:
        message = f"source {source.name!r}: a transaction is open that {statement} has to wait for"
        hint = "it is tried again by itself; or run the statement yourself when the table is quiet"
        raise HeadraceError(message, place=source.place, hint=hint) from None
    return []


def words(error: Exception) -> str:
    """What the database said, in one line."""
    text = str(error.args[-1] if error.args else error)
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), type(error).__name__)


def _refused(source: Source, error: Exception) -> HeadraceError:
    wrong = refuses(error)
    said = "refuses the user or password" if wrong else "can't be reached"
    hint = "look at the user here and at the secret in the environment" if wrong else "is the database running?"
    return HeadraceError(f"source {source.name!r} {said}: {words(error)}", place=source.place, hint=hint)


def refuses(error: Exception) -> bool:
    """Whether a database is there and does not let this user in."""
    text = str(error.args[-1] if error.args else error)
    return any(word in text for word in ("authentication", "Access denied", "no password", "role"))
