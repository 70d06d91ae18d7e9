"""Sources: what flows into the lake (source_file.py reads them from `lake/sources/*.yml`)."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.errors import Place
from headrace.project.contract import Contract
from headrace.project.limits import NO_LIMITS, LogLimits
from headrace.project.neo4j import Pattern
from headrace.project.rest import Rest

# kind → how its changes come: from the database's log, by pulls on a schedule, or as events that services send.
KINDS = {
    "postgresql": "cdc",
    "mariadb": "cdc",
    "jdbc": "cron",
    "files": "cron",
    "rest": "cron",
    "cassandra": "cron",
    "neo4j": "cron",
    "events": "events",
}
LISTED = {"cassandra"}  # kinds whose pulls keep a listing of all that they delivered


@dataclass(frozen=True)
class Table:
    """One landed table: the name users' SQL says, where it comes from, and the topic it travels on."""

    name: str
    source: str
    origin: str  # schema.table in the database, a glob, a path below the url, a pattern, or a topic
    topic: str
    contract: Contract
    place: Place
    watermark: str = ""  # cron: the column whose growth tells new rows
    format: str = ""  # files: csv, json or parquet
    rest: Rest | None = None  # rest: what to ask for
    neo4j: Pattern | None = None  # neo4j: which nodes or relationships


@dataclass(frozen=True)
class Source:
    """One service's data: how to reach it and its tables. `url` still holds ${NAME} where a secret belongs."""

    name: str
    kind: str
    tables: tuple[Table, ...]
    place: Place
    url: str = ""
    path: str = ""  # files: the folder, relative to the project
    endpoint: str = ""  # files in a bucket: where its store is, when not at AWS
    region: str = ""  # files in a bucket: the store's region
    database: str = ""
    server: str = ""  # the source whose database server this one shares
    local: bool = False  # on this machine: the embedded platform starts its server; of a service it keeps the port
    schedule: str = "@hourly"  # cron sources: when the pull is due
    headers: tuple[tuple[str, str], ...] = ()  # rest: sent with every request; values still hold ${NAME}
    limits: LogLimits = NO_LIMITS  # sources with a log: how much of it their database may keep for us

    @property
    def mode(self) -> str:
        """'cdc', 'cron' or 'events'."""
        return KINDS[self.kind]

    @property
    def listed(self) -> bool:
        """Whether its pulls keep a listing of all that they delivered, which a certificate can compare with."""
        return self.kind in LISTED
