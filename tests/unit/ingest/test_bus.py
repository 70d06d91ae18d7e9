"""What the bus's clients do while a partition's leader is chosen. No broker can be told to answer so: a mock does."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from headrace.errors import HeadraceError
from headrace.ingest import bus

PROJECT: Any = SimpleNamespace(addresses=SimpleNamespace(bus="127.0.0.1:1"))
MOVING = [KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE]


class Client:
    """An admin client that answers each question with the next error, and with 7 or an id when none is left."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def _answer(self, asked: Any, value: object) -> dict[Any, Future[Any]]:
        error = self.codes.pop(0) if self.codes else None
        answers: dict[Any, Future[Any]] = {one: Future() for one in asked}
        for future in answers.values():
            future.set_exception(KafkaException(KafkaError(error))) if error else future.set_result(value)
        return answers

    def list_offsets(self, asked: Any, request_timeout: float) -> dict[Any, Future[Any]]:
        return self._answer(asked, SimpleNamespace(offset=7))

    def describe_topics(self, asked: Any, request_timeout: float) -> dict[Any, Future[Any]]:
        return self._answer(["visits"], SimpleNamespace(topic_id="one"))


def test_partitions_without_a_leader_are_asked_again():
    client: Any = Client(*MOVING)
    assert bus.ends(PROJECT, {"visits": 2}, client) == {("visits", 0): 7, ("visits", 1): 7}
    assert not client.codes


@pytest.mark.parametrize("codes", [[KafkaError._TRANSPORT], MOVING * 20])
def test_a_bus_that_does_not_answer_is_said_to_be_one(codes: list[int]):
    client: Any = Client(*codes)
    with pytest.raises(HeadraceError, match="does not answer"):
        bus.ends(PROJECT, {"visits": 1}, client, timeout=0.3)


def test_a_topic_is_gone_only_when_the_bus_says_so():
    known: Any = [Client(), Client(KafkaError.UNKNOWN_TOPIC_OR_PART), Client(KafkaError._TIMED_OUT)]
    assert bus.topic_ids(PROJECT, known[0], ["visits"]) == {"visits": "one"}
    assert bus.topic_ids(PROJECT, known[1], ["visits"]) == {}
    with pytest.raises(HeadraceError, match="does not answer"):
        bus.topic_ids(PROJECT, known[2], ["visits"])
