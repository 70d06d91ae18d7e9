"""Asks a Cassandra cluster for its tables: keys and types are declared, what may lack is everything beside the key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from cassandra import AuthenticationFailed, DriverException, Unauthorized
from cassandra.cluster import NoHostAvailable, Session
from cassandra.metadata import protect_name

from headrace.errors import HeadraceError, did_you_mean
from headrace.project import Column
from headrace.project.found import FoundColumn, FoundSource, FoundTable
from headrace.pulls import cassandra
from headrace.sources.asked import Asked

# Type of CQL → logical type of a contract; what is not here is a user type, or is not carried.
_LOGICAL = {
    **dict.fromkeys("ascii text varchar uuid timeuuid inet time duration blob decimal".split(), "string"),
    **dict.fromkeys("tinyint smallint int bigint varint counter".split(), "integer"),
    **dict.fromkeys("float double".split(), "number"),
    **dict.fromkeys("list set tuple vector".split(), "array"),
    "boolean": "boolean", "date": "date", "timestamp": "timestamp", "map": "object",
}  # fmt: skip
_NOTES = {
    "decimal": "Its digits as text: the source sets no limit to them",
    "varint": "Values above 9223372036854775807 go to quarantine",
    "blob": "Bytes that are no UTF-8 come as \\x and two digits",
}
_FROZEN = re.compile(r"frozen<(.+)>")


def tables(asked: Asked) -> FoundSource:
    """The tables of the keyspace that the address names, else of all. Raises HeadraceError when it can't be asked."""
    url = asked.project.addresses.source(asked.source)
    if not urlsplit(url).hostname:
        hint = "cassandra://user:${PASSWORD}@host:9042/keyspace"
        raise HeadraceError("the address names no host", hint=hint)
    about = f"The {asked.name} service's Cassandra: each pull reads the tables, and brings what is not as it was."
    connection = {"local": True} if asked.local else {"url": asked.url}
    try:
        with cassandra.session(url) as session:
            cluster: Any = session.cluster
            cassandra.readable(cluster.metadata, asked.source)
            keyspaces = _keyspaces(cluster.metadata, urlsplit(url).path.strip("/"))
            found = tuple(table for k in keyspaces for table in _tables(asked, session, k))
    except (DriverException, NoHostAvailable) as error:
        raise _refused(asked, error) from None
    if not found:
        where = f"keyspace {keyspaces[0].name}" if len(keyspaces) == 1 else "the cluster"
        raise HeadraceError(f"{asked.name}: {where} has no table", hint="CREATE TABLE …, then ask again")
    return FoundSource("cassandra", connection, about, found)


def _keyspaces(metadata: Any, named: str) -> list[Any]:
    theirs = {name: k for name, k in metadata.keyspaces.items() if not name.startswith("system")}
    if named and named not in theirs:
        raise HeadraceError(f"there is no keyspace {named!r}", hint=did_you_mean(named, theirs))
    return [theirs[named]] if named else [theirs[name] for name in sorted(theirs)]


def _tables(asked: Asked, session: Session, keyspace: Any) -> Iterator[FoundTable]:
    for name, table in sorted(keyspace.tables.items()):
        origin = f"{keyspace.name}.{name}"
        found = FoundTable(name, origin, description=" ".join(str(table.options.get("comment") or "").split()))
        if not asked.wants(name, origin):
            yield found  # its name is all that is asked for
            continue
        try:
            session.execute(f"SELECT * FROM {protect_name(keyspace.name)}.{protect_name(name)} LIMIT 1")
        except Unauthorized:
            yield replace(found, skip=f"the user may not read it: GRANT SELECT ON {origin} TO …")
            continue
        yield described(found, table, set(keyspace.user_types))
    for name, view in sorted(keyspace.views.items()):
        skip = f"it is a materialized view of {view.base_table_name}: take that"
        yield FoundTable(name, f"{keyspace.name}.{name}", skip=skip)


def described(found: FoundTable, table: Any, user_types: set[str]) -> FoundTable:
    """A table as its cluster describes it (TableMetadata), in the words of a contract."""
    key = [column.name for column in table.primary_key]
    columns, left_out = [], []
    for name, column in table.columns.items():
        logical, word = _logical(column.cql_type, user_types)
        if not logical:
            left_out.append((name, f"values of type {column.cql_type} are not carried"))
            continue
        kept = Column(name, logical, required=name in key, key=name in key)
        note = _NOTES.get(word, "")
        columns.append(FoundColumn(kept, column.cql_type, note=note))
    if lost := [name for name, _ in left_out if name in key]:
        return replace(found, skip=f"its key can't be carried: {', '.join(lost)}")
    seconds = table.options.get("default_time_to_live") or 0
    notes = (f"its rows vanish {seconds} s after they were written: each comes as a deletion",) if seconds else ()
    return replace(found, columns=tuple(columns), left_out=tuple(left_out), notes=notes)


def _logical(cql: str, user_types: set[str]) -> tuple[str, str]:
    """The contract's type of a type of CQL, '' when its values are not carried; and the type's own word."""
    plain = cql
    while inner := _FROZEN.fullmatch(plain):
        plain = inner[1]
    word = plain.partition("<")[0]
    return ("object" if word.strip('"') in user_types else _LOGICAL.get(word, "")), word


def _refused(asked: Asked, error: Exception) -> HeadraceError:
    reasons = getattr(error, "errors", None)
    of_hosts = list(reasons.values()) if isinstance(reasons, dict) else []
    if any(isinstance(e, AuthenticationFailed | Unauthorized) for e in (error, *of_hosts)):
        hint = "is the user right, and the secret in the environment?"
        return HeadraceError(f"{asked.name}: the database refuses us: {cassandra.said(error)}", hint=hint)
    hint = "is it running, and are host and port right?"
    return HeadraceError(f"{asked.name}: the database can't be asked: {cassandra.said(error)}", hint=hint)
