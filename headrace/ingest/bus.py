"""Clients of the bus: the settings that every one of them shares, and its questions to the broker."""

from __future__ import annotations

from concurrent.futures import Future, wait
from time import monotonic, sleep
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from headrace.errors import HeadraceError
from headrace.project import Project

MAX_MESSAGE = 10 << 20  # bytes a topic accepts; landing quarantines rows long before that
_QUIET = {"log_level": 2}  # librdkafka repeats "connection refused" for ever; callers say it once themselves
# A partition's leader is being chosen again: a broker stood still, was killed, or is new. librdkafka gives these up.
_MOVING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
}
_PAUSE = 0.1  # seconds until its partitions are asked again
_ABSENT = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED}  # for us, at least


def settings(project: Project, **more: Any) -> dict[str, Any]:
    """librdkafka settings for this project's bus; keyword arguments use _ for the dots."""
    extra = {name.replace("_", "."): value for name, value in more.items()}
    return {**project.addresses.bus_client(), **_QUIET, **extra}


def producer_settings(project: Project, **more: Any) -> dict[str, Any]:
    """Settings of a producer whose records are acknowledged by all replicas and never written twice.

    Keys go to the partitions that Java's producers (Connect) give them, so that a key stays on one partition.
    """
    fixed = {"enable_idempotence": True, "acks": "all", "compression_type": "lz4", "partitioner": "murmur2_random"}
    return settings(project, **fixed, message_max_bytes=MAX_MESSAGE, **more)


def admin(project: Project) -> AdminClient:
    """An admin client; it connects on first use."""
    return AdminClient(settings(project))


def partitions(project: Project, client: AdminClient | None = None, timeout: float = 10) -> dict[str, int]:
    """Topic → number of its partitions, for every topic. Raises HeadraceError when the bus does not answer."""
    try:
        listed = (client or admin(project)).list_topics(timeout=timeout).topics
    except KafkaException as error:
        raise unreachable(project, error) from error
    return {name: len(topic.partitions) for name, topic in listed.items()}


def topic_ids(project: Project, client: AdminClient, topics: list[str], timeout: float = 10) -> dict[str, str]:
    """Topic → its id, which changes when a topic is deleted and made anew; topics that aren't there are left out.

    Raises HeadraceError when the bus does not tell: a topic would else seem to be gone."""
    found = {}
    for name, future in _done(client.describe_topics(TopicCollection(topics), request_timeout=timeout)).items():
        try:
            found[name] = str(future.result(timeout=0).topic_id)
        except KafkaException as error:
            if error.args[0].code() not in _ABSENT:
                raise unreachable(project, error) from error
    return found


def ends(
    project: Project, topics: dict[str, int], client: AdminClient | None = None, timeout: float = 15
) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset after the last record, of topics given with their number of partitions.

    Partitions without a leader are asked again for `timeout` seconds. Raises HeadraceError without an answer.
    """
    asked: Any = {TopicPartition(t, p): OffsetSpec.latest() for t, n in topics.items() for p in range(n)}
    if not asked:
        return {}
    client, deadline = client or admin(project), monotonic() + timeout
    while True:
        try:
            listed = _done(client.list_offsets(asked, request_timeout=timeout))
            return {(tp.topic, tp.partition): future.result(timeout=0).offset for tp, future in listed.items()}
        except KafkaException as error:
            if error.args[0].code() not in _MOVING or monotonic() > deadline:
                raise unreachable(project, error) from error
        sleep(_PAUSE)


def committed(client: AdminClient, partitions: list[tuple[str, int]], timeout: float = 5) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset after the last record that readers of committed records may have. Those whose leader
    does not tell are left out."""
    asked: Any = {TopicPartition(t, p): OffsetSpec.latest() for t, p in partitions}
    if not asked:
        return {}
    level = IsolationLevel.READ_COMMITTED
    listed = _done(client.list_offsets(asked, isolation_level=level, request_timeout=timeout))
    told = {tp: future.result(timeout=0) for tp, future in listed.items() if not future.exception(timeout=0)}
    return {(tp.topic, tp.partition): result.offset for tp, result in told.items()}


def _done(futures: dict[Any, Future[Any]]) -> dict[Any, Future[Any]]:
    """All of them, answered: a client must live until its last request is, also when the first one failed. A request
    ends by itself when its time is over."""
    wait(futures.values())
    return futures


def read_to_end(project: Project, topic: str, timeout: float = 30, since: int = 0) -> list[Any]:
    """Every committed record of a small topic, from offset `since` of each partition on.

    Raises HeadraceError when it takes longer than `timeout` seconds.
    """
    count = partitions(project).get(topic, 0)
    consumer = Consumer(
        settings(
            project,
            group_id="headrace-read",
            isolation_level="read_committed",
            enable_partition_eof=True,
            enable_auto_commit=False,
            fetch_wait_max_ms=10,  # nobody waits for more: the end is what is asked for
        )
    )
    try:
        consumer.assign([TopicPartition(topic, p, since) for p in range(count)])
        records, open_, deadline = [], set(range(count)), monotonic() + timeout
        while open_:
            if monotonic() > deadline:
                raise HeadraceError(f"topic {topic} could not be read to its end within {timeout:.0f} s")
            for message in consumer.consume(1000, 0.05):
                error = message.error()
                if error is None:
                    records.append(message)
                elif error.name() == "_PARTITION_EOF":
                    open_.discard(message.partition())
        return records
    finally:
        consumer.close()


def newest(project: Project, topic: str, back: int = 50, timeout: float = 30) -> Any:
    """The last committed record of a topic of one partition; None when its last `back` offsets hold none."""
    if topic not in (there := partitions(project)):
        return None
    end = ends(project, {topic: there[topic]})[topic, 0]
    records = read_to_end(project, topic, timeout, max(0, end - back))
    return records[-1] if records else None


def unreachable(project: Project, error: Exception) -> HeadraceError:
    """The error of a bus that does not answer."""
    return HeadraceError(
        f"the bus at {project.addresses.bus} does not answer: {error}", hint="headrace status   shows whether it runs"
    )
