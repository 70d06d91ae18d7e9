"""Chosen columns of one version of a table, computed by DuckDB: what quality checks look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.lake.closed import close

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class Pinned:
    """A Delta table at one version; `deleted` tells that rows with the mark of a deletion are no rows of it."""

    name: str
    path: str
    version: int
    deleted: bool

    @property
    def identity(self) -> str:
        """Tells this version from every other one, also from one of a table that was made anew at the same place."""
        from deltalake import DeltaTable

        return f"{DeltaTable(self.path, version=self.version).metadata().id}@{self.version}"


def read(table: Pinned, columns: Mapping[str, str], others: Iterable[Pinned] = ()) -> pa.Table:
    """The columns, each an SQL expression over the row `t`; `others` can be named in them. Times are in UTC.

    Raises HeadraceError when an expression doesn't fit the table.
    """
    import duckdb

    chosen = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in columns.items()) or "1 AS one"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for each in others:
            _show(connection, each.name, each)
        _show(connection, "_checked", table)
        close(connection)
        try:
            return connection.sql(f"SELECT {chosen} FROM _checked AS t").to_arrow_table()
        except duckdb.Error as error:
            said = str(error).strip().splitlines()[0]
            raise HeadraceError(f"{table.name} does not hold what its contract says: {said}") from None


def quoted(name: str) -> str:
    """A name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _show(connection: duckdb.DuckDBPyConnection, name: str, table: Pinned) -> None:
    from deltalake import DeltaTable

    hidden = f"_of_{name}"
    connection.register(hidden, DeltaTable(table.path, version=table.version).to_pyarrow_dataset())
    where = " WHERE NOT _deleted" if table.deleted else ""
    connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT * FROM {quoted(hidden)}{where}")
