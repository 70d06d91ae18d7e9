"""Certificates of sources that can't say a position: what their pulls listed, landing, and the current table.

The source is not asked: it may have changed since, and nobody could say before or after what. A pull keeps a digest of
each row that it read (headrace.pulls.delivered); the certificate holds that listing against the newest landed row of
each key, column by column of the source, also those that the contract leaves out.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from headrace.audit import lake_side, rejects
from headrace.audit.canonical import BUCKETS, Compared
from headrace.audit.certificate import Certificate, landed_past, with_current
from headrace.audit.comparison import Key, Side, compare
from headrace.audit.source_side import Buckets, Rows
from headrace.ingest import markers, paused
from headrace.lake import observed
from headrace.project import Project, Source, Table
from headrace.pulls.delivered import Delivered, digest
from headrace.pulls.pull import listing

if TYPE_CHECKING:
    import duckdb


def audit(
    project: Project,
    source: Source,
    tables: tuple[Table, ...] = (),
    timeout: float = 300.0,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Certificate]:
    """Audits tables of a source whose pulls keep a listing (Source.listed; all its tables by default).

    Guarantee: 'proven' means that what the last pull listed, every column of every row, is what landed and what the
    current table has; the note says which listing it was. A pull that goes on meanwhile changes nothing. A table that
    is paused, was never pulled, or has not landed within `timeout` seconds comes out 'unproven' with the reason. All
    keys of a table must fit the memory.
    """
    import duckdb

    deadline, found = time.monotonic() + timeout, []
    pauses = paused.read(project)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in tables or source.tables:
            began = time.monotonic()
            if pause := pauses.table(table):
                certificate = Certificate(source.name, table, "", 0.0, note=pause.text)
            else:
                progress(f"{source.name}: comparing {table.name} with its listing")
                certificate = _certify(connection, project, source, table, deadline)
            found.append(replace(certificate, seconds=time.monotonic() - began))
    return found


def _certify(
    connection: duckdb.DuckDBPyConnection, project: Project, source: Source, table: Table, deadline: float
) -> Certificate:
    pull, delivered = listing(project, source, table)
    table = observed.widened(project, table)
    certificate = Certificate(source.name, table, f"pull {pull}", 0.0)
    if not pull:
        return replace(certificate, note=f"it was never pulled: headrace source pull {source.name}")
    after = markers.mark(project, max(1.0, deadline - time.monotonic()), [table.name])
    if late := landed_past(project, (table,), after, deadline):
        return replace(certificate, note=late[table.name])
    until = {p: at for (topic, p), at in after.items() if topic == table.topic}
    landed = _landed(connection, project, table, until, pull)
    compared = compare(_listed(delivered).side(), landed.side())
    compared = rejects.explained(project, table, compared, landed)
    doubled = tuple(sorted(lake_side.doubled(connection, project, table, until)))
    note = f"compared with the listing of pull {pull}, not with the source"
    certificate = replace(certificate, landed=compared, doubled=doubled, note=note)
    exact = [c for c in table.contract.columns if _exact(c.logical, c.is_decimal)]
    left = tuple(f"{c.name} ({c.logical})" for c in table.contract.columns if c not in exact)
    return with_current(connection, project, certificate, Compared(tuple(exact), left))


def _exact(logical: str, is_decimal: bool) -> bool:
    """Whether a value has one text in landing and in a current table; the listing is compared in every column."""
    return is_decimal if logical == "number" else logical not in {"object", "array"}


@dataclass
class _Keyed:
    """Rows of one side by key, with a hash of the whole row."""

    hashes: dict[Key, int] = field(default_factory=dict)
    bad: set[Key] = field(default_factory=set)  # the newest row broke the contract
    at: dict[Key, tuple[int, int]] = field(default_factory=dict)  # partition and offset of the newest change

    def side(self) -> Side:
        buckets: Buckets = {}
        for key, hash_ in self.hashes.items():
            count, total = buckets.get(bucket := _bucket(key), (0, 0))
            buckets[bucket] = count + 1, total + hash_
        return Side(buckets, self._rows, lambda wanted: {key for key in self.bad if _bucket(key) in wanted})

    def newest(self, keys: list[Key]) -> dict[Key, tuple[int, int]]:
        """As lake_side.Folded.newest."""
        return {key: self.at[key] for key in keys if key in self.at}

    def _rows(self, wanted: set[int]) -> Rows:
        return {key: hash_ for key, hash_ in self.hashes.items() if _bucket(key) in wanted}


def _listed(delivered: Delivered) -> _Keyed:
    found = _Keyed()
    for bucket in delivered.buckets():
        for key, text in delivered.rows(bucket).items():
            values = orjson.loads(key)
            if isinstance(values, list) and None not in values:  # else it is no row: it went to quarantine
                found.hashes[_key(values)] = _hash(text)
    return found


def _landed(
    connection: duckdb.DuckDBPyConnection, project: Project, table: Table, until: dict[int, int], pull: int
) -> _Keyed:
    """The newest landed row of each key, of pulls up to the listing's."""
    lake_side.open_landing(connection, project, table)
    below = " OR ".join(f'(partition = {p} AND "offset" < {end})' for p, end in until.items()) or "false"
    order = "row(coalesce(epoch, 0), coalesce(position, ''), partition, \"offset\")"
    query = f"""SELECT key, max_by(row(op, after, partition, "offset"), {order}) AS last FROM landed
WHERE op IN ('u', 'd') AND ({below}) AND position < '{pull + 1:012d}' GROUP BY key"""
    rows: Any = connection.execute(
        f"SELECT key, last[1], last[2], last[3], last[4] FROM ({query})"  # by number: rows have no names
    )
    found = _Keyed()
    while some := rows.fetchmany(10_000):
        for text, op, after, partition, offset in some:
            named = orjson.loads(text)
            key = _key([named.get(name) for name in table.contract.key])
            found.at[key] = partition, offset
            if op == "d":
                continue
            if after is None:
                found.bad.add(key)
            else:
                data = orjson.dumps(orjson.loads(after), option=orjson.OPT_SORT_KEYS)
                found.hashes[key] = _hash(digest(data))
    return found


def _key(values: list[Any]) -> Key:
    return tuple(str(value) for value in values)


def _hash(text: str) -> int:
    return int(text[:15], 16)


def _bucket(key: Key) -> int:
    return zlib.crc32("\x1f".join(key).encode("utf-8", "surrogatepass")) % BUCKETS
