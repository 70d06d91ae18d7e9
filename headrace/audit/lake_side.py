"""The lake's side of a certificate: landing folded by DuckDB, and the current table as Spark wrote it.

The fold is written a second time here, in another engine than the one that makes the current tables, so that a mistake
in one of them shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.audit import canonical
from headrace.audit.canonical import Compared
from headrace.audit.source_side import Buckets, Rows
from headrace.lake import paths
from headrace.lake.arrivals import SNAPSHOT_ENDS, Offsets
from headrace.lake.rows import COMPLETE
from headrace.project import Column, Project, Table

if TYPE_CHECKING:
    import duckdb

_DATA = "op IN ('c', 'u', 'd', 'r')"
_NEEDED = ["op", "key", "before", "after", "epoch", "position", "snapshot", "partition", "offset", "transaction_id"]


@dataclass
class Folded:
    """Rows of one table on the lake, one per key, in a DuckDB table; `kept` has those that a reader sees."""

    connection: duckdb.DuckDBPyConnection
    name: str

    def buckets(self) -> Buckets:
        """A count and a sum of hashes for each bucket of keys."""
        query = f"SELECT bucket, count(*), sum(hash) FROM {self.name} WHERE hash IS NOT NULL GROUP BY bucket"
        return {int(b): (int(count), int(total)) for b, count, total in self.connection.execute(query).fetchall()}

    def rows(self, buckets: set[int]) -> Rows:
        """Key and hash of each row in the buckets."""
        query = f"SELECT hash, key FROM {self.name} WHERE hash IS NOT NULL AND bucket IN ({_listed(buckets)})"
        return {tuple(key): int(found) for found, key in self.connection.execute(query).fetchall()}

    def newest(self, keys: list[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[int, int]]:
        """Key → partition and offset of its newest landed change, for those of the keys that are there."""
        query = f'SELECT key, partition, "offset" FROM {self.name} WHERE list_contains(?::VARCHAR[][], key)'
        found = self.connection.execute(query, [[list(key) for key in keys]]).fetchall()
        return {tuple(key): (partition, offset) for key, partition, offset in found}

    def rejected(self, buckets: set[int]) -> set[tuple[str, ...]]:
        """Keys in the buckets whose newest row broke the contract: it is in quarantine."""
        query = f"SELECT key FROM {self.name} WHERE hash IS NULL AND bucket IN ({_listed(buckets)})"
        return {tuple(key) for (key,) in self.connection.execute(query).fetchall()}


def open_landing(connection: duckdb.DuckDBPyConnection, project: Project, table: Table) -> None:
    """Makes the view `landed` of a table's landing rows."""
    _open(connection, "landed", paths.landing(project, table.name), _NEEDED)


def fold(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    table: Table,
    columns: Compared,
    until: Offsets,
    unseen: str = "false",
    within: str = "true",
) -> Folded:
    """Folds the landed rows below `until` that are not `unseen`: the newest per key, in order of the source.

    `within` limits it to keys, as a condition on `key` (a list of texts).
    """
    _open(connection, "landed", paths.landing(project, table.name), _NEEDED)
    # A snapshot's rows carry the transaction that read them.
    seen = f"({below(until)}) AND (op IN ('r', 'm') OR NOT ({unseen}))"
    ends = ", ".join(f"'{word}'" for word in SNAPSHOT_ENDS)
    ((lowest,),) = connection.execute(
        f"SELECT max(row(coalesce(epoch, 0), coalesce(position, ''))) FROM landed"
        f" WHERE (op = 't' OR (op = 'r' AND snapshot IN ({ends}))"
        f" OR (op = 'm' AND snapshot = '{COMPLETE}')) AND {seen}"
    ).fetchall()
    key = tuple(c for c in table.contract.columns if c.key)
    old = " || ',' || ".join(f"'\"{c.name}\":' || (before -> {path(c)})" for c in key)
    order = "row(coalesce(epoch, 0), coalesce(position, ''), partition, \"offset\", gone)"
    row = 'row(op, after, epoch, position, partition, "offset")'
    newest = f"""SELECT key AS landed_key, max_by({row}, {order}) AS last FROM (
  SELECT key, op, after, epoch, position, partition, "offset", 0 AS gone FROM landed WHERE {_DATA} AND {seen}
  UNION ALL  -- an update that moved a row takes the old key away
  SELECT '{{' || {old} || '}}', 'd', NULL, epoch, position, partition, "offset", -1 FROM landed
  WHERE op = 'u' AND before IS NOT NULL AND '{{' || {old} || '}}' <> key AND {seen}
) GROUP BY key"""
    above = (
        "true"
        if lowest is None
        else f"row(coalesce(last[3], 0), coalesce(last[4], '')) >= row({_value(lowest, 0)}, '{_value(lowest, 1)}')"
    )
    values = f"json_extract_string(last[2], [{', '.join(map(path, columns.columns))}])"
    keys = f"json_extract_string(landed_key, [{', '.join(map(path, key))}])"
    query = (
        f"SELECT {values} AS v, {keys} AS k, last[2] IS NULL AS bad,"
        f" last[5] AS partition, last[6] AS \"offset\" FROM ({newest}) WHERE last[1] <> 'd' AND {above}"
    )
    return _hashed(
        connection, "folded", query, table, columns, lambda i: f"v[{i + 1}]", lambda i: f"k[{i + 1}]", within
    )


def doubled(
    connection: duckdb.DuckDBPyConnection, project: Project, table: Table, until: Offsets, within: str = "true"
) -> set[str]:
    """Keys, as landed, of records of the log that landed more than once."""
    _open(connection, "landed", paths.landing(project, table.name), _NEEDED)
    query = f"""SELECT any_value(key) AS landed_key FROM landed WHERE {_DATA} AND ({below(until)})
  GROUP BY partition, "offset" HAVING count(*) > 1"""
    return keys_within(connection, table, query, within)


def keys_within(connection: duckdb.DuckDBPyConnection, table: Table, query: str, within: str) -> set[str]:
    """Of the keys that a query gives as `landed_key`, those in the range."""
    key = ", ".join(path(c) for c in table.contract.columns if c.key)
    texts = f"LATERAL (SELECT json_extract_string(landed_key, [{key}]) AS key)"
    found = connection.execute(f"SELECT landed_key FROM ({query}), {texts} WHERE {within}").fetchall()
    return {str(key) for (key,) in found}


def snapshotted(
    connection: duckdb.DuckDBPyConnection, project: Project, table: Table, since: Offsets, until: Offsets
) -> bool:
    """Whether rows of a connector's snapshot landed in the range: they are of another moment than ours."""
    _open(connection, "landed", paths.landing(project, table.name), _NEEDED)
    parts = [f'(partition = {p} AND "offset" >= {since.get(p, 0)} AND "offset" < {end})' for p, end in until.items()]
    query = (
        f"SELECT count(*) FROM landed WHERE (op = 'r' OR snapshot = '{COMPLETE}') AND ({' OR '.join(parts) or 'false'})"
    )
    ((count,),) = connection.execute(query).fetchall()
    return bool(count)


def current(
    connection: duckdb.DuckDBPyConnection, project: Project, table: Table, columns: Compared, version: int, within: str
) -> Folded:
    """The current table as of a version."""
    names = [c.name for c in table.contract.columns]
    _open(connection, "current_rows", paths.current(project, table.name), [*names, "_deleted"], version)
    key = [c for c in table.contract.columns if c.key]

    def value(of: list[Column]) -> Callable[[int], str]:
        return lambda i: f"CAST({_quoted(of[i].name)} AS VARCHAR)"

    query = 'SELECT *, false AS bad, -1 AS partition, -1 AS "offset" FROM current_rows WHERE NOT _deleted'
    return _hashed(connection, "seen", query, table, columns, value(list(columns.columns)), value(key), within)


def _hashed(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    query: str,
    table: Table,
    columns: Compared,
    value: Callable[[int], str],
    key_value: Callable[[int], str],
    within: str,
) -> Folded:
    """Makes the table (key texts, bucket, hash); the hash is null for a row whose image is in quarantine."""
    key = tuple(c for c in table.contract.columns if c.key)
    keys = [canonical.duckdb(c, key_value(i)) for i, c in enumerate(key)]
    texts = [canonical.duckdb(c, value(i)) for i, c in enumerate(columns.columns)]
    hash_ = canonical.hashed("duckdb", texts)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM (SELECT [{', '.join(keys)}] AS key,"
        f" {canonical.bucket('duckdb', key, keys)} AS bucket, CASE WHEN NOT bad THEN {hash_} END AS hash,"
        f' partition, "offset" FROM ({query}))'
        f" WHERE {within}"
    )
    return Folded(connection, name)


def _open(connection: Any, name: str, path: str, columns: list[str], version: int | None = None) -> None:
    """A view of a Delta table's columns. Local files are read by DuckDB itself, which is quickest."""
    from deltalake import DeltaTable

    handle = DeltaTable(path, version=version)
    files, listed = handle.file_uris(), ", ".join(_quoted(c) for c in columns)
    if files and all(Path(file).is_absolute() for file in files):
        quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        given = f"read_parquet([{quoted}], union_by_name = true, hive_partitioning = false)"
    else:
        given = f"given_{name}"
        connection.register(given, handle.to_pyarrow_dataset())
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {listed} FROM {given}")


def below(until: Offsets) -> str:
    """The condition on `partition` and `offset`."""
    return " OR ".join(f'(partition = {p} AND "offset" < {end})' for p, end in until.items()) or "false"


def path(column: Column) -> str:
    """A column's value in an image, as a quoted JSON path."""
    return "'$." + '"' + column.name.replace("'", "''") + '"' + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(buckets: set[int]) -> str:
    return ", ".join(map(str, sorted(buckets)))


def _value(row: Any, index: int) -> Any:
    """A field of a DuckDB row, which comes as a dict or as a tuple."""
    return list(row.values())[index] if isinstance(row, dict) else row[index]
