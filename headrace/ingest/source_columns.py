"""The columns of a captured table as its database declares them, in the types of a contract."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql

from headrace.errors import HeadraceError
from headrace.ingest import database
from headrace.project import Column, Project, Source, Table
from headrace.project.observed import DIGITS

PAUSE = 1.0  # seconds in which a table's columns are not asked for again
AWAY = 60.0  # the same, of a database that does not answer: landing must not wait for it again and again
_PLAIN = {
    "integer": "int2 int4 int8 oid tinyint smallint mediumint int bigint year interval",  # an interval's microseconds
    "number": "float4 float8 float double",
    "boolean": "bool",
    "date": "date",
    "timestamp": "timestamp timestamptz datetime",
    "object": "json jsonb point geometry geography",
    "array": "vector halfvec",
}
_LOGICAL = {word: logical for logical, words in _PLAIN.items() for word in words.split()}
_POSTGRESQL = (
    "SELECT column_name, udt_name, udt_name, numeric_precision, numeric_scale, is_nullable, column_default,"
    " is_generated <> 'NEVER' OR is_identity = 'YES' FROM information_schema.columns"
    " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"
)
_MARIADB = (
    "SELECT column_name, data_type, column_type, numeric_precision, numeric_scale, is_nullable, column_default,"
    " is_generated <> 'NEVER' FROM information_schema.columns"
    " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"
)


@dataclass(frozen=True)
class Declared:
    """A column of the source. `filled`: when it is added, rows that are there get a value in it, untold by the log."""

    column: Column
    filled: bool


def declared(project: Project, source: Source, table: Table) -> dict[str, Declared]:
    """The table's columns by name, in its order; {} when there is no such table.

    Raises HeadraceError when the database can't be reached or does not tell.
    """
    schema, _, name = table.origin.partition(".")
    with database.connect(project, source) as cursor:
        try:
            return {row[0]: declare(*row) for row in catalogue(cursor, source.kind, schema, name)}
        except (psycopg.Error, pymysql.err.MySQLError) as error:
            raise HeadraceError(
                f"source {source.name!r} does not say its columns: {error}", place=source.place
            ) from error


def catalogue(cursor: Any, kind: str, schema: str, name: str) -> list[tuple[Any, ...]]:
    """The rows that the catalogue of a database of this kind has about a table's columns: arguments of `declare`."""
    cursor.execute(_POSTGRESQL if kind == "postgresql" else _MARIADB, (schema, name))
    return list(cursor.fetchall())


def declare(
    name: str,
    type_: str,
    full: str,
    precision: int | None,
    scale: int | None,
    nullable: str,
    default: Any,
    made: object,
) -> Declared:
    """One row of the database's catalogue."""
    filled = bool(made) or nullable == "NO" or default not in (None, "NULL")  # MariaDB writes DEFAULT NULL as a text
    return Declared(_column(name, type_.lower(), full.lower(), precision, scale), filled)


def _column(name: str, type_: str, full: str, precision: int | None, scale: int | None) -> Column:
    if type_ in ("numeric", "decimal"):
        if precision and precision <= DIGITS and 0 <= (scale or 0) <= precision:
            return Column(name, "number", precision=precision, scale=scale or 0)
        return Column(name, "string")  # without limits, or wider than the engines' decimals
    if type_.startswith("_"):
        return Column(name, "array")
    if full in ("tinyint(1)", "bit(1)"):
        return Column(name, "integer" if full == "tinyint(1)" else "boolean")
    return Column(name, _LOGICAL.get(type_, "string"))


class Asked:
    """`declared` as the landing worker asks it: never an error, and never often."""

    def __init__(self, project: Project, source: Source, table: Table) -> None:
        self._of = project, source, table
        self._known: dict[str, Declared] | None = None
        self._until = 0.0

    def __call__(self) -> Mapping[str, Declared] | None:
        """The columns by name; None when the database can't be asked."""
        if time.monotonic() >= self._until:
            try:
                self._known, pause = declared(*self._of), PAUSE
            except Exception:  # whatever it is: landing goes on without knowing
                self._known, pause = None, AWAY
            self._until = time.monotonic() + pause
        return self._known
