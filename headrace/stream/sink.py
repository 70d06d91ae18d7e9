"""Where alerts go: the table `alerts.<job>` in PostgreSQL and a topic, both keyed by the job's key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from headrace.errors import HeadraceError, Place, did_you_mean
from headrace.project import Job
from headrace.serve import masks
from headrace.sql.flink import literal, name, properties, with_options
from headrace.sql.lineage import OPEN, Origins

RESULT = "headrace_result"  # the user's query as a view
SCHEMA = "alerts"
FLUSH = "100 ms"  # how long the PostgreSQL sink gathers rows: the largest part of an alert's latency
ROWS = "2000"
ADDED = ("alert_id", "severity", "raised_at")  # columns of ours, unless the query has its own of that name

# Flink type → PostgreSQL type. Everything that isn't here can't be stored.
_TYPES = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INT": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "CHAR": "text",
    "VARCHAR": "text",
    "STRING": "text",
    "DATE": "date",
    "TIMESTAMP": "timestamptz",  # window_start and window_end are instants in UTC, Flink only doesn't say so
    "TIMESTAMP_LTZ": "timestamptz",
    "ARRAY": "jsonb",
    "MAP": "jsonb",
    "ROW": "jsonb",
    "MULTISET": "jsonb",
}
_BASE = re.compile(r"\w+")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")  # the JDBC connector doesn't quote names


@dataclass(frozen=True)
class ResultColumn:
    """A column of the user's result: its Flink type as DESCRIBE prints it."""

    name: str
    flink: str

    @property
    def base(self) -> str:
        return _BASE.match(self.flink)[0]  # type: ignore[index]

    @property
    def postgres(self) -> str:
        if self.base == "DECIMAL":
            return self.flink.split(" *")[0].split(" NOT")[0].replace("DECIMAL", "numeric").replace(" ", "")
        return _TYPES[self.base]

    @property
    def is_time(self) -> bool:
        return self.base in {"TIMESTAMP", "TIMESTAMP_LTZ"}

    @property
    def is_text(self) -> bool:
        return _TYPES.get(self.base) in {"text", "jsonb"}


@dataclass(frozen=True)
class Sink:
    """The result of one job: its columns, key and severity; makes the statements of both sinks.

    `masks` are the columns that only the owner of the serving database sees; the topic has all values.
    """

    job: str
    topic: str
    columns: tuple[ResultColumn, ...]
    key: tuple[str, ...]
    severity: str
    masks: masks.Masks = field(default_factory=dict, hash=False)

    @property
    def schema(self) -> str:
        """Where the rows go: readers see them in `alerts` in any case."""
        return masks.home(self.masks, SCHEMA)

    @property
    def table_columns(self) -> dict[str, str]:
        """Column → PostgreSQL type with its constraint, in the table's order."""
        own = {
            "alert_id": "text NOT NULL",
            "severity": f"text NOT NULL DEFAULT {literal(self.severity)}",
            "raised_at": "timestamptz NOT NULL DEFAULT now()",
        }
        result = {c.name: c.postgres + (" NOT NULL" if c.name in self.key else "") for c in self.columns}
        return result | {n: t for n, t in own.items() if n not in result}

    def statements(self, bus: Mapping[str, str], serving: str, user: str, password: str) -> tuple[str, str, str]:
        """The two sink tables, and the statement set that fills them.

        `bus` has the settings of Flink's clients of the bus, `serving` is a JDBC address. In effect exactly once:
        after a failure rows come again, and again to their key.
        """
        return self._postgres(serving, user, password), self._kafka(bus), self._insert()

    def _postgres(self, serving: str, user: str, password: str) -> str:
        # Times and JSON go as text, and PostgreSQL reads them by the column's type: no JVM's time zone in between.
        types = {
            c.name: "STRING" if c.is_time or c.is_text else c.flink.split(" *")[0].split(" NOT")[0]
            for c in self.columns
        }
        types |= dict.fromkeys(self._constants(), "STRING")
        options = {
            "connector": "jdbc",
            "url": serving + ("&" if "?" in serving else "?") + "stringtype=unspecified&reWriteBatchedInserts=true",
            "username": user,
            "password": password,
            "table-name": f"{self.schema}.{self.job}",
            "sink.buffer-flush.interval": FLUSH,
            "sink.buffer-flush.max-rows": ROWS,
        }
        return self._table("headrace_postgres", types, list(self.key), options)

    def _kafka(self, bus: Mapping[str, str]) -> str:
        types = {c.name: _topic_type(c) for c in self.columns} | dict.fromkeys(self._constants(), "STRING")
        options = {
            "connector": "upsert-kafka",
            "topic": self.topic,
            **properties(bus),
            "key.format": "json",
            "value.format": "json",
            "value.json.timestamp-format.standard": "ISO-8601",
            "key.json.timestamp-format.standard": "ISO-8601",
        }
        return self._table("headrace_topic", types, list(self.key), options)

    def _table(self, table: str, types: dict[str, str], key: list[str], options: dict[str, str]) -> str:
        columns = ",\n  ".join(f"{name(n)} {t}" for n, t in types.items())
        primary = ", ".join(name(k) for k in key)
        body = f"  {columns},\n  PRIMARY KEY ({primary}) NOT ENFORCED"
        return f"CREATE TEMPORARY TABLE {table} (\n{body}\n) WITH (\n  {with_options(options)}\n)"

    def _insert(self) -> str:
        added = [f"{e} AS {name(n)}" for n, e in self._constants().items()]
        keyed = " AND ".join(f"{name(k)} IS NOT NULL" for k in self.key)
        table = ", ".join([_table_value(c) for c in self.columns] + added)
        topic = ", ".join([_topic_value(c) for c in self.columns] + added)
        inserts = (
            f"INSERT INTO {t} SELECT {values} FROM {RESULT} WHERE {keyed};"
            for t, values in (("headrace_postgres", table), ("headrace_topic", topic))
        )
        return "EXECUTE STATEMENT SET BEGIN\n" + "\n".join(inserts) + "\nEND"

    def _constants(self) -> dict[str, str]:
        named = {c.name for c in self.columns}
        parts = ", ".join([literal(self.job), *(f"CAST({name(k)} AS STRING)" for k in self.key)])
        own = {"alert_id": f"MD5(CONCAT_WS('|', {parts}))", "severity": literal(self.severity)}
        return {n: e for n, e in own.items() if n not in named}


def sink_of(job: Job, described: list[tuple[str, str]], origins: Origins = OPEN) -> Sink:
    """The sink for a described result (name, type); `origins` says which of its columns hold personal values.

    Raises HeadraceError when the result can't be stored or lacks its key.
    """
    columns = tuple(ResultColumn(n, t) for n, t in described)
    names = [c.name for c in columns]
    header = Place(job.path, next((n for n, line in enumerate(job.text.splitlines(), 1) if "key:" in line), 1))
    for key in job.key:
        if key not in names:
            raise HeadraceError(
                f"the key {key!r} is no column of the result", place=header, hint=did_you_mean(key, names)
            )
    for column in columns:
        if not _PLAIN.fullmatch(column.name):
            expression = column.name.startswith("EXPR$")
            message = (
                "a column of the result has no name"
                if expression
                else f"no alert table can have a column {column.name!r}"
            )
            raise HeadraceError(
                message, place=Place(job.path, 1), hint="… AS a_name      (lower case letters, digits and _)"
            )
        if column.base != "DECIMAL" and column.base not in _TYPES:
            raise HeadraceError(
                f"column {column.name!r} is of type {column.flink}, which no alert table can hold",
                place=Place(job.path, 1),
                hint="CAST it to a type that PostgreSQL has",
            )
    hidden = origins.among(names)
    if "alert_id" not in names and any(k in hidden for k in job.key):  # a hash of the key: who guesses it, knows it
        hidden["alert_id"] = frozenset().union(*(hidden.get(k, ()) for k in job.key))
    return Sink(job.name, job.topic, columns, job.key, job.options.get("severity", "info"), hidden)


def jdbc(address: str) -> tuple[str, str, str]:
    """A postgresql:// address as Java wants it: JDBC address, user, password."""
    parts = urlsplit(address)
    query = f"?{parts.query}" if parts.query else ""
    java = f"jdbc:postgresql://{parts.hostname}:{parts.port or 5432}{parts.path}{query}"
    return java, unquote(parts.username or ""), unquote(parts.password or "")


def quoted(identifier: str) -> str:
    """An identifier in PostgreSQL's quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def _topic_type(column: ResultColumn) -> str:
    if column.is_time:
        return "TIMESTAMP_LTZ(6)"
    if column.base == "DECIMAL":  # as on every topic: a JSON number would be read as a double
        return "STRING"
    return column.flink.split(" *")[0].split(" NOT")[0]


def _topic_value(column: ResultColumn) -> str:
    # The cast also makes a plain value of a time attribute: a sink takes at most one of these.
    if column.is_time or column.base == "DECIMAL":
        return f"CAST({name(column.name)} AS {_topic_type(column)})"
    return name(column.name)


def _table_value(column: ResultColumn) -> str:
    if column.is_time:
        return f"CAST(CAST({name(column.name)} AS TIMESTAMP_LTZ(6)) AS STRING) || '+00'"
    if _TYPES.get(column.base) == "jsonb":
        return f"JSON_STRING({name(column.name)})"
    if column.is_text:  # PostgreSQL refuses NUL, and one bad value must not stop all other alerts
        return f"REPLACE({name(column.name)}, U&'\\0000', '')"
    return name(column.name)
