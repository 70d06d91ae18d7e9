"""The source's side of a certificate: one consistent snapshot without a lock, and where it lies in the log.

PostgreSQL: a transaction at REPEATABLE READ; `pg_current_snapshot` names the transactions that it doesn't see, and each
landed change names its own. (The log's end at that moment is not the boundary: a commit is written before it is seen.)
MariaDB: START TRANSACTION WITH CONSISTENT SNAPSHOT, whose place in the binary log is `binlog_snapshot_position`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headrace.audit import canonical
from headrace.audit.canonical import Compared
from headrace.errors import HeadraceError
from headrace.ingest import database
from headrace.project import Project, Source, Table

Buckets = dict[int, tuple[int, int]]  # bucket → number of rows, sum of their hashes
Rows = dict[tuple[str, ...], int]  # texts of the key's columns → hash of the row
_XIDS = 1 << 32  # the log names transactions by 32 bits


@dataclass
class Snapshot:
    """An open snapshot of a source. Not for sharing between threads."""

    source: Source
    cursor: Any
    position: str  # for people, and for the record
    unseen: str  # DuckDB's condition that a landed change was committed after the snapshot

    def columns(self, table: Table) -> Compared:
        """The columns to compare. Raises HeadraceError when the table is not there."""
        types = dict(self._rows(*_types(self.source.kind, table)))
        if not types:
            raise HeadraceError(f"there is no table {table.origin} in source {self.source.name!r}", place=table.place)
        return canonical.compared(self.source.kind, table.contract.columns, types)

    def buckets(self, table: Table, columns: Compared, within: str = "") -> Buckets:
        """Reads the table once and returns a count and a sum for each bucket of keys."""
        bucket, hash_ = self._expressions(table, columns)
        statement = f"SELECT {bucket} AS b, count(*), sum({hash_}) FROM {self._name(table)}{within} GROUP BY b"
        return {int(b): (int(count), int(total)) for b, count, total in self._rows(statement)}

    def rows(self, table: Table, columns: Compared, buckets: set[int], within: str = "") -> Rows:
        """Key and hash of each row in the buckets, as of the same snapshot."""
        bucket, hash_ = self._expressions(table, columns)
        keys = ", ".join(self._texts(table, table.contract.key))
        listed = ", ".join(map(str, sorted(buckets)))
        where = f"{within} AND" if within else " WHERE"
        statement = f"SELECT {hash_}, {keys} FROM {self._name(table)}{where} {bucket} IN ({listed})"
        return {tuple(map(str, key)): int(found) for found, *key in self._rows(statement)}

    def _expressions(self, table: Table, columns: Compared) -> tuple[str, str]:
        kind, key = self.source.kind, tuple(c for c in table.contract.columns if c.key)
        texts = self._texts(table, tuple(c.name for c in columns.columns))
        return canonical.bucket(kind, key, self._texts(table, table.contract.key)), canonical.hashed(kind, texts)

    def _texts(self, table: Table, names: tuple[str, ...]) -> list[str]:
        text = canonical.postgresql if self.source.kind == "postgresql" else canonical.mariadb
        columns = {c.name: c for c in table.contract.columns}
        return [text(columns[name]) for name in names]

    def _name(self, table: Table) -> str:
        quote = '"' if self.source.kind == "postgresql" else "`"
        return ".".join(f"{quote}{part}{quote}" for part in table.origin.split("."))

    def _rows(self, statement: str, values: tuple[str, ...] = ()) -> list[Any]:
        try:
            self.cursor.execute(statement, values or None)
            return list(self.cursor.fetchall())
        except Exception as error:  # psycopg's and pymysql's have no common base
            message = f"source {self.source.name!r} can't be audited: {str(error).strip()}"
            raise HeadraceError(message, place=self.source.place, hint="the user needs SELECT on the table") from error


@contextmanager
def snapshot(project: Project, source: Source) -> Iterator[Snapshot]:
    """Opens a snapshot for the block. Takes no lock that a service could notice.

    Raises HeadraceError when the database can't be reached or keeps no log.
    """
    with database.connect(project, source) as cursor:
        if source.kind == "postgresql":
            cursor.execute("SET timezone = 'UTC'")
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT pg_current_snapshot()::text")
            text = cursor.fetchone()[0]
            yield Snapshot(source, cursor, f"snapshot {text}", unseen_by(text))
        else:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            cursor.execute("SHOW STATUS LIKE 'binlog_snapshot_%'")
            status = {name.lower(): value for name, value in cursor.fetchall()}
            file, position = status.get("binlog_snapshot_file", ""), status.get("binlog_snapshot_position", "")
            if not file:
                raise HeadraceError(
                    f"source {source.name!r} does not say where in its log a snapshot lies", place=source.place
                )
            at = f"{int(file.rpartition('.')[2]):010d}/{int(position):020d}"
            yield Snapshot(source, cursor, f"{file}:{position}", f"position >= '{at}'")


def unseen_by(snapshot: str) -> str:
    """The condition that a landed change's transaction is not seen by a PostgreSQL snapshot `xmin:xmax:xip,…`.

    A change's transaction has only the lower 32 bits of the snapshot's numbers: it began after the snapshot when it is
    less than half of all numbers ahead of xmax.
    """
    _, upper, running = snapshot.split(":")
    xmax, open_ = int(upper), [int(x) for x in running.split(",") if x]
    ahead = f"((CAST(transaction_id AS BIGINT) - {xmax % _XIDS} + {_XIDS}) % {_XIDS})"
    condition = f"{ahead} < {_XIDS // 2}"
    if open_:
        condition += f" OR CAST(transaction_id AS BIGINT) IN ({', '.join(str(x % _XIDS) for x in open_)})"
    return f"coalesce({condition}, false)"


def _types(kind: str, table: Table) -> tuple[str, tuple[str, ...]]:
    schema, _, name = table.origin.partition(".")
    if kind == "postgresql":
        return (
            "SELECT a.attname, CASE t.typtype WHEN 'e' THEN 'enum' ELSE t.typname END FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
            (schema, name),
        )
    return (
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        (schema, name),
    )
