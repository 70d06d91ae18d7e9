"""Kafka transactions: what a producer sends is visible all together or never."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

SECONDS = 60.0  # one call to the bus
_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)


def fenced(error: KafkaException) -> bool:
    """Whether a newer producer with the same transactional id has begun: this one can't commit any more."""
    return error.args[0].code() in _FENCED


@contextmanager
def transaction(producer: Producer) -> Iterator[None]:
    """Commits what the block sends; when the block or the commit fails nothing of it is ever visible."""
    producer.begin_transaction()
    try:
        yield
        commit(producer)
    except BaseException:
        with suppress(KafkaException):  # what went wrong is the news; an open transaction ends by itself
            producer.abort_transaction(SECONDS)
        raise


def commit(producer: Producer) -> None:
    """Commits, again after errors that pass. Raises KafkaException when a record was not delivered."""
    while True:
        try:
            return producer.commit_transaction(SECONDS)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
            time.sleep(0.1)


def send(
    producer: Producer, topic: str, value: bytes | None, key: bytes | None, head: Any, partition: int = -1
) -> None:
    """Hands a record over; waits while the local queue is full because the bus is slower than we are."""
    while True:
        try:
            producer.produce(topic, value, key, partition, headers=head)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.2)
