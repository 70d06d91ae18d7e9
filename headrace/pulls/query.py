"""Tables without a log that we may read: pulled by a column whose value grows with every change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from headrace.errors import HeadraceError
from headrace.project import Source, Table, tls
from headrace.pulls.boundary import unsent
from headrace.pulls.pulled import Line, State
from headrace.pulls.values import plain

_DRIVERS = {"mariadb": "mariadb+pymysql", "mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg"}


def steps(url: str, source: Source, table: Table, state: State) -> Iterator[tuple[Iterator[Line], State]]:
    """Steps of rows whose watermark is at or above the last, less those already delivered with that very value.

    Never skips a row that shares the last value (the boundary is read again), never delivers an unchanged row twice
    (its key and digest are remembered). A row committed later with a smaller value than the last is not seen: the
    column must grow in order of commits. Raises HeadraceError at the source's file when the database refuses.
    """
    try:
        with engine(url).connect() as connection:
            _in_utc(connection)
            select = _select(connection, table, state)
            # Only now: PostgreSQL streams through a cursor on the server, and there is none for a SET.
            connection.execution_options(stream_results=True, yield_per=2000)
            found = connection.execute(select).mappings()
            rows = (plain(dict(row)) for row in found)
            yield from unsent(((row[table.watermark], row) for row in rows), table, state)
    except SQLAlchemyError as error:
        raise _refused(source, error, f"table {table.origin}") from error


def probe(url: str, source: Source) -> None:
    """Returns when the database answers; raises HeadraceError at the source's file when it does not."""
    try:
        with engine(url).connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError as error:
        raise _refused(source, error, "connecting") from error


def engine(url: str) -> sa.Engine:
    """An engine for an address as it stands in a source's file, secrets filled in; it keeps no connection."""
    arguments: dict[str, object] = {"connect_timeout": 5}
    if url.startswith("mariadb://"):  # may speak of TLS as a captured source does
        url, secured = tls.apart(url)
        arguments |= secured
    return sa.create_engine(_url(url), connect_args=arguments, poolclass=sa.pool.NullPool)


def _refused(source: Source, error: SQLAlchemyError, what: str) -> HeadraceError:
    said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    hint = f"headrace source check {source.name}"
    return HeadraceError(f"source {source.name!r}, {what}: {said}", place=source.place, hint=hint)


def _select(connection: sa.Connection, table: Table, state: State) -> sa.Select[Any]:
    schema, _, name = table.origin.rpartition(".")
    there = {c["name"]: c for c in sa.inspect(connection).get_columns(name, schema=schema or None)}
    lacking = [c.name for c in table.contract.columns if c.required and c.name not in there]
    if lacking:
        message = f"table {table.origin} of the source has no column {', '.join(lacking)}"
        raise HeadraceError(message, place=table.place, hint=f"it has: {', '.join(there)}")
    columns = [sa.column(name, details["type"]) for name, details in there.items()]
    mark = sa.column(table.watermark, there[table.watermark]["type"])
    select = sa.select(*columns).select_from(sa.table(name, schema=schema or None)).where(mark.is_not(None))
    if state.watermark is not None:
        select = select.where(mark >= _native(state.watermark, there[table.watermark]["type"]))
    return select.order_by(mark, *(sa.column(k) for k in table.contract.key))


def _native(value: Any, kind: Any) -> Any:
    from datetime import date, datetime

    wanted = getattr(kind, "python_type", str)
    if wanted is datetime:
        moment = datetime.fromisoformat(value)
        return moment if getattr(kind, "timezone", False) else moment.replace(tzinfo=None)
    return date.fromisoformat(value) if wanted is date else value


def _in_utc(connection: sa.Connection) -> None:
    statements = {
        "mysql": "SET time_zone = '+00:00'",
        "mariadb": "SET time_zone = '+00:00'",
        "postgresql": "SET TIME ZONE 'UTC'",
    }
    if statement := statements.get(connection.dialect.name):
        connection.exec_driver_sql(statement)


def _url(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    return f"{_DRIVERS.get(scheme, scheme)}{colon}{rest}"
