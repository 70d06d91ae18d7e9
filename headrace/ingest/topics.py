"""The topics of a project: one per table, made by Headrace before anybody writes to them."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from headrace.errors import HeadraceError
from headrace.ingest import bus
from headrace.project import Project, Source, Table

PULLS = "headrace.pulls"
CONTROLS = "headrace.controls"
BROKERS_SECONDS, PAUSE = 60.0, 0.5  # how long brokers that start may take, and between two looks
_DAY = 24 * 3600 * 1000  # ms
# The cut of a live view is computed from append times, and the oldest usable cut needs its records (CORRECTNESS 5).
TABLE = {
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "max.message.bytes": str(bus.MAX_MESSAGE),
}
_SHORT = {"cleanup.policy": "delete", "retention.ms": str(_DAY)}
_WEEK = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY)}  # a long snapshot of one table
_LATEST = {"cleanup.policy": "compact", "max.message.bytes": str(bus.MAX_MESSAGE)}

# Kept short: a pull reads all of it, and a part of it is replaced whenever a row of that part changes.
_PARTS = _LATEST | {"segment.bytes": str(16 << 20), "min.cleanable.dirty.ratio": "0.2"}


def database(source: Source) -> str:
    """The name of a source's database: its address's path, else what the file says, else the source's own name."""
    return urlsplit(source.url).path.strip("/") or source.database


def marker_table(source: Source) -> str:
    """The table of a CDC source into which markers are written, with its schema; it is captured but not landed."""
    return f"{'public' if source.kind == 'postgresql' else database(source)}.headrace_marker"


def marker_topic(source: Source) -> str:
    """The topic on which a CDC source's markers come back."""
    return f"{source.name}.{marker_table(source)}"


def signal_table(project: Project, source: Source) -> str:
    """The table by which this project's connector of the source is asked for snapshots of single tables.

    Debezium writes into it, too; two connectors must not share one.
    """
    return f"{marker_table(source).partition('.')[0]}.{own_name(project, source, 'headrace_signal')}"


def own_name(project: Project, source: Source, start: str = "headrace") -> str:
    """What a source's database knows this project by: two projects may read one server."""
    return f"{start}_{project.settings.name}_{source.name}".replace("-", "_")[:63]


def signal_topic(project: Project, source: Source) -> str:
    """The topic on which rows of the signal table come back: so each request has a position in the source's log."""
    return f"{source.name}.{signal_table(project, source)}"


def notification_topic(source: Source) -> str:
    """The topic on which a connector tells how far its snapshots are, behind the rows they brought."""
    return f"headrace.notifications.{source.name}"


def delivered(table: Table) -> str:
    """The topic of what pulls have delivered of a table that is compared with it, see headrace.pulls.delivered."""
    return f"{PULLS}.{table.topic}"


def heartbeat_topic(source: Source) -> str:
    """Debezium's heartbeat: it moves the stored offset of a source in which nothing changes."""
    return f"__debezium-heartbeat.{source.name}"


def wanted(project: Project) -> dict[str, tuple[int, dict[str, str]]]:
    """Topic → (partitions, settings) of everything the project needs on the bus."""
    many = project.settings.partitions
    days = project.settings.retention_days
    kept = TABLE | ({"retention.ms": str(days * _DAY)} if days else {})
    topics = {table.topic: (many, kept) for table in project.tables.values()}
    topics |= {job.topic: (many, kept) for job in project.jobs if job.kind == "stream"}
    for source in project.sources:
        if source.mode == "cdc":
            topics[marker_topic(source)] = (1, _SHORT)
            topics[heartbeat_topic(source)] = (1, _SHORT)
            topics[signal_topic(project, source)] = (1, _WEEK)
            topics[notification_topic(source)] = (1, _WEEK)
    if any(source.mode == "cron" for source in project.sources):
        topics[PULLS] = (1, _LATEST)
    topics |= {delivered(t): (1, _PARTS) for s in project.sources if s.listed for t in s.tables}
    if project.sources:
        topics[CONTROLS] = (1, _LATEST)
    return topics


def ensure(project: Project, client: AdminClient | None = None) -> list[str]:
    """Creates the topics that are missing and repairs settings of the others; returns the names of the new ones.

    Idempotent, and safe when several processes do it at once. Never changes the number of partitions of a topic: that
    would move keys to other partitions and lose their order. Waits a minute for brokers that a topic's replicas need.
    Raises HeadraceError when the bus does not answer, or refuses a topic.
    """
    client = client or bus.admin(project)
    there = bus.partitions(project, client)
    topics = wanted(project)
    replicas = project.settings.replicas
    made = _create(client, [NewTopic(t, n, replicas, config=c) for t, (n, c) in topics.items() if t not in there])
    repair(client, {t: config for t, (_, config) in topics.items() if t in there})
    return made


def _create(client: AdminClient, missing: list[NewTopic]) -> list[str]:
    """Asks again for those that need a broker which has not registered yet; returns the names of the new ones."""
    made, deadline = [], time.monotonic() + BROKERS_SECONDS
    while missing:
        early = set()
        for name, future in client.create_topics(missing).items():
            try:
                future.result(timeout=30)
                made.append(name)
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.INVALID_REPLICATION_FACTOR and time.monotonic() < deadline:
                    early.add(name)
                elif code != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise HeadraceError(f"topic {name} could not be created: {error.args[0].str()}") from error
        missing = [topic for topic in missing if topic.topic in early]
        time.sleep(PAUSE if missing else 0)
    return made


def repair(client: AdminClient, topics: dict[str, dict[str, str]]) -> list[str]:
    """Sets what differs from the wanted settings; returns the topics that were changed."""
    if not topics:
        return []
    changes = []
    for name, found in configurations(client, list(topics)).items():
        different = {key: value for key, value in topics[name].items() if found.get(key) != value}
        if different:
            entries = [
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in different.items()
            ]
            changes.append(ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries))
    for future in client.incremental_alter_configs(changes).values() if changes else ():
        future.result(timeout=30)
    return [change.name for change in changes]


def configurations(client: AdminClient, topics: list[str]) -> dict[str, dict[str, str]]:
    """Topic → its settings as the broker has them."""
    asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
    return {
        resource.name: {entry.name: entry.value for entry in future.result(timeout=30).values()}
        for resource, future in client.describe_configs(asked, request_timeout=20).items()
    }
