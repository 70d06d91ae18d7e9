"""Pulls of Cassandra: each reads all rows, and sends those that are not as they were delivered, and what is gone.

Cassandra tells nobody what changed: a write carries the time its client says, may come with a lower one than earlier
writes and be right, and rows vanish by deletion or age without a word. So a pull compares (delivered.py), and the time
of a write is only when a change happened.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from cassandra import ConsistencyLevel, DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.metadata import protect_name
from cassandra.policies import DCAwareRoundRobinPolicy
from cassandra.query import SimpleStatement, tuple_factory

from headrace.errors import HeadraceError, did_you_mean
from headrace.project import Source, Table
from headrace.pulls.cassandra_values import Handler, plain
from headrace.pulls.delivered import Delivered, Read, unlike
from headrace.pulls.pulled import Line, State

# Of the replicas of a row: one alone may lack a write that was acknowledged, and the row would be taken for deleted.
_CONSISTENCY = ConsistencyLevel.LOCAL_QUORUM
_PAGE = 1000  # rows
_SECONDS = 60.0  # one page
_TIMED = frozenset(
    "ascii bigint blob boolean date decimal double duration float inet int smallint text time timestamp timeuuid"
    " tinyint uuid varchar varint".split()
)  # types of which a row has one time of writing; a collection's elements have one each, a counter has none
# A time of writing before 2008 or more than a day ahead is no time: some clients number their writes.
_EARLIEST, _AHEAD = 1_199_145_600_000, 86_400_000  # ms


def steps(
    url: str, source: Source, table: Table, state: State, delivered: Delivered
) -> Iterator[tuple[Iterator[Line], State]]:
    """Steps of rows that are new or changed since they were delivered, and of keys that are gone (Line.gone).

    Reads each row at LOCAL_QUORUM, page by page in order of
    the tokens; rows that are written meanwhile are seen as they are when their page is read, else by the next pull.
    Raises HeadraceError at the table in the source's file when it isn't there, has another key than the contract or no
    such columns, and at the source's when the cluster refuses or fails; steps that were handed out before stay good.
    """
    with _refusing(source, "connecting"), session(url) as opened, _refusing(source, f"table {table.origin}"):
        found = _described(opened, source, table)
        yield from unlike(_read(opened, found), table, delivered, state)


def probe(url: str, source: Source) -> None:
    """Returns when the cluster answers and has the tables; raises HeadraceError at the file when not."""
    with _refusing(source, "connecting"), session(url) as opened:
        for table in source.tables:
            _described(opened, source, table)


@contextmanager
def session(url: str) -> Iterator[Session]:
    """A session on the cluster of an address; the driver's errors are raised as they are, `said` has their words."""
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what is wrong is raised, and said once
    parts = urlsplit(url)
    user = PlainTextAuthProvider(unquote(parts.username or ""), unquote(parts.password or ""))
    profile = ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(),  # the data centre of the host that the address names
        consistency_level=_CONSISTENCY,
        request_timeout=_SECONDS,
        row_factory=tuple_factory,
    )
    cluster = Cluster(
        [parts.hostname or "localhost"],
        parts.port or 9042,
        auth_provider=user if parts.username else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=10,
        control_connection_timeout=10,
        executor_threads=1,
    )
    try:
        opened = cluster.connect()
        opened.client_protocol_handler = Handler
        yield opened
    finally:
        cluster.shutdown()


@contextmanager
def _refusing(source: Source, what: str) -> Iterator[None]:
    try:
        yield
    except (DriverException, NoHostAvailable) as error:
        message = f"source {source.name!r}, {what}: {said(error)}"
        raise HeadraceError(message, place=source.place, hint=f"headrace source check {source.name}") from error


def said(error: Exception) -> str:
    """The driver's words, of several hosts the first's."""
    found = getattr(error, "errors", None)
    inner = next(iter(found.values())) if isinstance(found, dict) and found else error
    return (str(inner).strip() or type(inner).__name__).splitlines()[0]


def _described(session: Session, source: Source, table: Table) -> Any:
    """The table as its cluster describes it (TableMetadata), if it is there and is what the contract says."""
    cluster: Any = session.cluster
    metadata = cluster.metadata
    readable(metadata, source)
    keyspace, _, name = table.origin.partition(".")
    if keyspace not in metadata.keyspaces:
        theirs = [k for k in metadata.keyspaces if not k.startswith("system")]
        message = f"there is no keyspace {keyspace!r} in source {source.name!r}"
        raise HeadraceError(message, place=table.place, hint=did_you_mean(keyspace, theirs))
    tables = metadata.keyspaces[keyspace].tables
    if name not in tables:
        message = f"there is no table {table.origin} in source {source.name!r}"
        raise HeadraceError(message, place=table.place, hint=did_you_mean(name, tables))
    found = tables[name]
    key = [column.name for column in found.primary_key]
    if set(key) != set(table.contract.key):
        message = f"the key of {table.origin} is {', '.join(key)}, its contract says {', '.join(table.contract.key)}"
        raise HeadraceError(message, place=table.place, hint=f"primaryKey: true   at {', '.join(key)}")
    lacking = [c.name for c in table.contract.columns if c.required and c.name not in found.columns]
    if lacking:
        message = f"table {table.origin} of the source has no column {', '.join(lacking)}"
        raise HeadraceError(message, place=table.place, hint=f"it has: {', '.join(found.columns)}")
    return found


def readable(metadata: Any, source: Source) -> None:
    """Raises HeadraceError at the source when its cluster spreads rows in a way that pulls can't walk."""
    if not str(metadata.partitioner).endswith("Murmur3Partitioner"):
        message = f"the cluster of source {source.name!r} has the partitioner {metadata.partitioner}"
        raise HeadraceError(message, place=source.place, hint="only Murmur3Partitioner is read")


def _read(session: Session, table: Any) -> Iterator[Read]:
    """All rows, in order of their tokens."""
    partition = ", ".join(protect_name(column.name) for column in table.partition_key)
    names, key = list(table.columns), {column.name for column in table.primary_key}
    timed = [c.name for c in table.columns.values() if c.cql_type in _TIMED and c.name not in key]
    asked = [f"token({partition})", *map(protect_name, names), *(f"WRITETIME({protect_name(n)})" for n in timed)]
    origin = f"{protect_name(table.keyspace_name)}.{protect_name(table.name)}"
    statement = SimpleStatement(f"SELECT {', '.join(asked)} FROM {origin}", fetch_size=_PAGE)
    latest = int(time.time() * 1000) + _AHEAD
    for token, *found in session.execute(statement):
        written = max((micros for micros in found[len(names) :] if micros is not None), default=0) // 1000
        row = plain(dict(zip(names, found, strict=False)))
        yield Read(token, row, written if _EARLIEST < written < latest else 0)
