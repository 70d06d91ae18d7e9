"""The offsets that a stream job's checkpoints commit to the bus: where it is, and goes on when it has no state."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError
from headrace.project import Job, Project
from headrace.stream.plan import group

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.admin import AdminClient

_SECONDS = 20.0
_SHORT = 8.0


@lru_cache(maxsize=4)
def _admin(bus: tuple[tuple[str, str], ...]) -> AdminClient:
    from confluent_kafka.admin import AdminClient

    return AdminClient({**dict(bus), "log_level": 3})


@lru_cache(maxsize=64)
def _member(bus: tuple[tuple[str, str], ...], named: str) -> Consumer:
    """A client of the group that never joins it. An admin client may ask for offsets, too, but the library crashes
    with it (confluent-kafka 2.16) when the broker that keeps the group has just become another one."""
    from confluent_kafka import Consumer

    return Consumer({**dict(bus), "log_level": 2, "group.id": named, "enable.auto.commit": False})


def committed(project: Project, job: Job) -> dict[tuple[str, int], int]:
    """(topic, partition) → the next offset that the job's last completed checkpoint does not cover."""
    return of_group(project, group(project, job), job.name)


def of_group(project: Project, named: str, job: str) -> dict[tuple[str, int], int]:
    """(topic, partition) → the offset that a consumer group has committed; `job` is whom an error speaks of.

    A client that knew the bus before it was killed may wait for answers in vain for minutes: then another one is asked.
    """
    from confluent_kafka import KafkaException

    try:
        found = _offsets(project, named, _SHORT)
    except KafkaException:
        _member.cache_clear()
        try:
            found = _offsets(project, named, _SECONDS)
        except KafkaException as error:
            text = f"the bus does not tell how far {job} is: {error.args[0].str()}"
            raise HeadraceError(text, hint="headrace status") from error
    return {(t.topic, t.partition): t.offset for t in found if t.offset >= 0 and not t.error}


def _settings(project: Project) -> tuple[tuple[str, str], ...]:
    return tuple(project.addresses.bus_client().items())


def _offsets(project: Project, named: str, seconds: float) -> list[TopicPartition]:
    from confluent_kafka import TopicPartition

    member = _member(_settings(project), named)
    there = member.list_topics(timeout=seconds).topics
    topics = {table.topic for table in project.tables.values()} & there.keys()
    asked = [TopicPartition(topic, number) for topic in sorted(topics) for number in there[topic].partitions]
    return member.committed(asked, timeout=seconds) if asked else []


def forget(project: Project, job: Job) -> None:
    """Removes the committed offsets, so that the job without state begins at the beginning. The job must not run."""
    forget_group(project, group(project, job), job.name)


def forget_group(project: Project, named: str, job: str) -> None:
    """Removes the offsets of a consumer group in which nobody is; there may be none."""
    from confluent_kafka import KafkaError, KafkaException

    not_yet = {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
    end = time.monotonic() + _SECONDS
    while True:
        try:
            return _admin(_settings(project)).delete_consumer_groups([named], request_timeout=_SECONDS)[named].result()
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.GROUP_ID_NOT_FOUND:
                return None
            if code not in not_yet or time.monotonic() > end:
                raise HeadraceError(f"the bus keeps the offsets of {job}: {error.args[0].str()}") from error
            time.sleep(0.2)  # a bus that has just started is still reading its own topics
