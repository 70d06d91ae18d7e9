"""Debezium's configuration for a source. Passwords stand in it as ${env:NAME}, which Connect resolves."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit
from zlib import crc32

from headrace.errors import HeadraceError
from headrace.ingest import ddl, headers, topics
from headrace.project import Project, Source, tls
from headrace.project.addresses import HOST

_PORT = {"postgresql": 5432, "mariadb": 3306}
_CLASS = {
    "postgresql": "io.debezium.connector.postgresql.PostgresConnector",
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
}
HEARTBEAT_SECONDS = 10
_COMMON = {
    "tasks.max": "1",
    # Each poll of the log is one Kafka transaction with its position: a killed worker leaves neither gap nor double.
    "exactly.once.support": "required",
    "transaction.boundary": "poll",
    # Connect reads its positions before it starts a task, and waits for the transaction of one that was killed to end.
    "producer.override.transaction.timeout.ms": "15000",
    "snapshot.mode": "initial",
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "binary.handling.mode": "base64",
    "tombstones.on.delete": "false",
    "skipped.operations": "none",
    "extended.headers.enabled": "false",
    "poll.interval.ms": "20",
    "max.batch.size": "8192",
    "max.queue.size": "32768",
    "producer.override.max.request.size": str(10 << 20),
    "producer.override.linger.ms": "5",
    "producer.override.compression.type": "lz4",
    # A database that went away comes back by itself, however long it took.
    "errors.max.retries": "-1",
    "errors.retry.delay.initial.ms": "500",
    "errors.retry.delay.max.ms": "5000",
    "retriable.restart.connector.wait.ms": "2000",
    "heartbeat.interval.ms": str(HEARTBEAT_SECONDS * 1000),
    # A single table is snapshotted in chunks between its changes, when a row of the signal table asks for it.
    "signal.enabled.channels": "source",
    "incremental.snapshot.watermarking.strategy": "insert_delete",
    "incremental.snapshot.chunk.size": "8192",
    "notification.enabled.channels": "sink",
    # The attempt to snapshot or to stream is told apart by this number in every record (CORRECTNESS 1).
    "transforms": "epoch",
    "transforms.epoch.type": "org.apache.kafka.connect.transforms.InsertHeader",
    "transforms.epoch.header": headers.EPOCH,
}
REPEATS = "headrace.Repeats"  # in the folder of Connect's plugins: see headrace/local/jars
EPOCH = "transforms.epoch.value.literal"
SLOT = "slot"  # name of a row that a snapshot of PostgreSQL's marker table has besides: where the stream begins


def config(project: Project, source: Source, epoch: int) -> dict[str, str]:
    """The connector's configuration. Raises HeadraceError naming the source's file when its address lacks a part."""
    host, port, user, password = _server(project, source)
    signals = topics.signal_table(project, source)
    tables = sorted({t.origin for t in source.tables} | {topics.marker_table(source), signals})
    common = {
        "connector.class": _CLASS[source.kind],
        "database.hostname": host,
        "database.port": str(port),
        "database.user": user,
        "database.password": password,
        "topic.prefix": source.name,
        "table.include.list": ",".join(map(re.escape, tables)),
        "heartbeat.action.query": beat(source),
        "signal.data.collection": signals,
        "notification.sink.topic.name": topics.notification_topic(source),
        EPOCH: str(epoch),
    }
    own = _postgresql(project, source) if source.kind == "postgresql" else _mariadb(project, source, tables)
    return {**_COMMON, **common, **own, **tls.connector(source.url)}


def beat(source: Source) -> str:
    """Changes the marker table, so that a source in which nothing else changes does not hold its log back."""
    table = topics.marker_table(source)
    if source.kind == "postgresql":
        insert = f"INSERT INTO {table} (name, marker, at) VALUES ('heartbeat', '', now())"
        return f"{insert} ON CONFLICT (name) DO UPDATE SET at = now()"
    return f"REPLACE INTO {table} (name, marker, at) VALUES ('heartbeat', '', now(6))"


def _postgresql(project: Project, source: Source) -> dict[str, str]:
    own, markers = topics.own_name(project, source), topics.marker_table(source)
    override = "snapshot.select.statement.overrides"
    slot = f"SELECT '{SLOT}', confirmed_flush_lsn::text, now() FROM pg_replication_slots WHERE slot_name = '{own}'"
    return {
        override: markers,
        f"{override}.{markers}": f"SELECT name, marker, at FROM {markers} UNION ALL {slot}",
        "database.dbname": topics.database(source),
        "plugin.name": "pgoutput",
        "slot.name": own,
        "publication.name": own,
        "publication.autocreate.mode": "filtered",
        "status.update.interval.ms": "5000",
        "database.tcpKeepAlive": "true",
    }


def _mariadb(project: Project, source: Source, tables: list[str]) -> dict[str, str]:
    return {
        "database.include.list": re.escape(topics.database(source)),
        "database.server.id": str(10_000 + crc32(f"{project.settings.name}/{source.name}".encode()) % 1_000_000_000),
        **({"database.ssl.mode": "disable"} if source.local else {}),
        "include.schema.changes": "false",
        "schema.history.internal.kafka.bootstrap.servers": project.addresses.bus,
        **_history_clients(project),
        "schema.history.internal.kafka.topic": f"headrace.schema-history.{source.name}",
        "schema.history.internal.store.only.captured.tables.ddl": "true",
        ddl.OPTION: ddl.ignored(tables),
        # Without it a MariaDB that was killed is never missed. With it a client that stood still for longer, amid a
        # transaction, begins that anew: rows that were sent are left out the second time.
        "connect.keep.alive.interval.ms": "5000",
        "transforms": f"repeats,{_COMMON['transforms']}",
        "transforms.repeats.type": REPEATS,
    }


def _history_clients(project: Project) -> dict[str, str]:
    """How the clients that keep the history of tables' definitions reach a secured bus: Connect gives them nothing."""
    found: dict[str, str] = {}
    for client in ("producer", "consumer"):
        found |= project.addresses.bus_java(prefix=f"schema.history.internal.{client}.", late=True)
        del found[f"schema.history.internal.{client}.bootstrap.servers"]
    return found


def _server(project: Project, source: Source) -> tuple[str, int, str, str]:
    if source.local:
        port = project.addresses.source_port(source.name)
        return HOST, port, "headrace", f"${{env:{source.name.upper()}_PASSWORD}}"
    parts = urlsplit(source.url)
    if not parts.hostname or not parts.username:
        hint = f"connection: {{url: '{source.kind}://user:${{PASSWORD}}@host:{_PORT[source.kind]}/database'}}"
        raise HeadraceError("connection.url needs a user and a host", place=source.place, hint=hint)
    password = re.sub(r"\$\{(\w+)\}", r"${env:\1}", unquote(parts.password or ""))
    resolve = project.addresses.resolve
    return resolve(parts.hostname), parts.port or _PORT[source.kind], resolve(unquote(parts.username)), password
