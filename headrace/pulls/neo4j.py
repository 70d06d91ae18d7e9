"""Pulls of Neo4j: nodes of a label and relationships of a type, all of them or by a property that grows.

A pull reads a table in one transaction. Neo4j shows it what others commit meanwhile (read committed), so a pull is no
snapshot of one moment; with a watermark, what it missed has a greater one and comes with the next.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from neo4j import READ_ACCESS, GraphDatabase, Record, Transaction
from neo4j.exceptions import BrokenRecordError, DriverError, Neo4jError

from headrace.errors import HeadraceError, did_you_mean
from headrace.project import Source, Table
from headrace.project.neo4j import Pattern
from headrace.pulls import exact
from headrace.pulls.boundary import ROWS, unsent
from headrace.pulls.grows import Growing
from headrace.pulls.neo4j_query import expected, query
from headrace.pulls.neo4j_values import reader, shown, value
from headrace.pulls.pulled import Line, State
from headrace.pulls.spool import Spool
from headrace.pulls.values import plain

Steps = Iterator[tuple[Iterator[Line], State]]
_FETCHED = 200  # records that the driver asks for at a time; each may be large


def steps(url: str, source: Source, table: Table, state: State) -> Steps:
    """Steps of the rows that no pull has delivered.

    With a watermark: rows at or above the last, less those already delivered with that very value (boundary.py). One
    that is committed later with a smaller value than the last is not seen, nor is a deletion. Rows without a usable
    watermark, and values that can't be read, go to quarantine, once. Without: all rows in one step, or none when they
    are the same as last time; rows that are gone stay in the current table.

    Raises HeadraceError at the source's file when the database refuses or breaks off, and at the table when it brought
    nothing yet and the database has no such label or type.
    """
    pattern = table.neo4j or Pattern(())
    with _refused(source, f"table {table.origin}"), transaction(url) as opened, Spool() as kept:
        yield from (_changed if table.watermark else _whole)(opened, table, pattern, state, kept)
        if not state.pull and not kept.count:
            _known(opened, table, pattern)


def probe(url: str, source: Source) -> None:
    """Returns when the database answers; raises HeadraceError at the source's file when it does not."""
    with _refused(source, "connecting"), transaction(url) as opened:
        opened.run("RETURN 1").consume()


def _whole(transaction: Transaction, table: Table, pattern: Pattern, state: State, kept: Spool) -> Steps:
    read = reader(pattern, table.contract)
    for number, record in enumerate(transaction.run(*query(pattern)), 1):
        try:
            line = Line(number, read(record))
        except (ValueError, BrokenRecordError) as error:
            line = _unread(table, number, record, error)
        kept.add(line)
    known = {table.origin: kept.digest}
    if kept.count and state.files != known:
        yield kept.lines(), state.next(files=known)


def _changed(transaction: Transaction, table: Table, pattern: Pattern, state: State, kept: Spool) -> Steps:
    read, bad = reader(pattern, table.contract), set()
    column = next(c for c in table.contract.columns if c.name == table.watermark)
    growing = Growing(column)
    last = growing.again(state.watermark)
    asked = query(pattern, table.watermark, column.logical, None if last is None else str(state.watermark))

    def rows() -> Iterator[tuple[Any, dict[str, Any]]]:
        order, text = last, str(state.watermark)
        for number, record in enumerate(transaction.run(*asked), 1):
            try:
                row = read(record)
                # Not the row's own value: it may have been changed since the graph was put in order.
                place = value(record["place"], table.watermark)
                if place is None and row.get(table.watermark) is not None:
                    found = f"{str(row[table.watermark])[:80]!r}"
                    raise ValueError(f"{table.watermark} is {found} and not a {expected(column.logical)}")
                if column.is_decimal and isinstance(place, float):
                    place = exact.plain_decimal(repr(place))
                at, said = growing.of(plain({table.watermark: place}))
            except (ValueError, BrokenRecordError) as error:
                bad.add(kept.add(_unread(table, number, record, error)))
                if len(bad) > ROWS:
                    raise _many(table, error) from None
                continue
            if at != order:  # of several writings of a value one: 1 and 1.0
                order, text = at, said
            yield text, row

    for lines, after in unsent(rows(), table, state):
        state = after
        yield lines, state
    # Those of the last pull are given again: what was rejected once is not rejected anew.
    if bad - state.files.keys():
        yield kept.lines(without=state.files), state.next(files=dict.fromkeys(sorted(bad), "bad"))


def _unread(table: Table, number: int, record: Record, error: Exception) -> Line:
    reason = f"{table.origin} {record['id']}: {error}"
    return Line(number, exact.raw({name: shown(inner) for name, inner in record["properties"].items()}), reason)


def _many(table: Table, error: Exception) -> HeadraceError:
    message = f"more than {ROWS:,} rows can't be placed in the order of changes, one of them: {error}"
    hint = "watermark must be a property that every row has and every change makes greater"
    return HeadraceError(message, place=table.place, hint=hint)


def _known(transaction: Transaction, table: Table, pattern: Pattern) -> None:
    """Neo4j has no rows for a misspelt name and no error either; what once had rows may be empty."""
    there = {row["label"] for row in transaction.run("CALL db.labels() YIELD label")}
    types = {row["type"] for row in transaction.run("CALL db.relationshipTypes() YIELD relationshipType AS type")}
    kinds = [("label", name, there) for name in (*pattern.labels, *pattern.end_labels)]
    for what, name, names in [*kinds, *([("relationship of type", pattern.type, types)] if pattern.type else [])]:
        if name not in names:
            hint = did_you_mean(name, names) if names else "the graph is empty yet"
            raise HeadraceError(f"the graph has no {what} {name!r}", place=table.place, hint=hint)


@contextmanager
def transaction(url: str) -> Iterator[Transaction]:
    """A transaction that reads the graph of an address; the driver's errors are raised as they are."""
    logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # what is wrong is raised, and said once
    parts = urlsplit(url)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path="").geturl()
    with (
        GraphDatabase.driver(address, auth=auth, connection_timeout=5, user_agent="headrace") as driver,
        driver.session(
            database=parts.path.strip("/") or None, default_access_mode=READ_ACCESS, fetch_size=_FETCHED
        ) as session,
        session.begin_transaction() as opened,
    ):
        yield opened


@contextmanager
def _refused(source: Source, what: str) -> Iterator[None]:
    try:
        yield
    except (DriverError, Neo4jError) as error:
        hint = f"headrace source check {source.name}"
        raise HeadraceError(f"source {source.name!r}, {what}: {said(error)}", place=source.place, hint=hint) from error


def said(error: Exception) -> str:
    """The driver's words, or the database's."""
    words = (getattr(error, "message", "") or str(error)).strip() or type(error).__name__
    return words.splitlines()[0].rstrip(":")
