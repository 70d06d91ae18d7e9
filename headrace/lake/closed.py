"""DuckDB for SQL that people wrote: it sees the tables that it is given, and nothing else of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# No file, address, attached database or extension; no variable of ours as a table; and no way to take that back.
_CLOSED = """SET enable_external_access = false; SET python_enable_replacements = false;
SET autoinstall_known_extensions = false; SET autoload_known_extensions = false; SET lock_configuration = true"""


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on the connection's SQL reads only what is registered in it: neither COPY nor ATTACH, INSTALL or
    read_csv reach a file. Call it before the first statement that is not ours."""
    connection.execute(_CLOSED)
