"""The topics that the company's events go to."""

from __future__ import annotations

from headrace.project import Project


def ensure(project: Project) -> None:
    """Creates the topics of all tables that are missing, as Headrace wants them (the broker's append time, nothing deleted)."""
    try:
        from headrace.ingest import topics
    except ImportError:
        _ensure(project)
    else:
        topics.ensure(project)


def _ensure(project: Project) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": project.addresses.bus})
    there = admin.list_topics(timeout=30).topics
    config = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "retention.ms": "-1"}
    settings = project.settings
    new = [NewTopic(t.topic, settings.partitions, settings.replication, config=config) for t in project.tables.values() if t.topic not in there]
    for future in admin.create_topics(new).values() if new else ():
        future.result(30)
