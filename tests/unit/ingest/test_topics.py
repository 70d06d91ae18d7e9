"""What topics are asked for."""

from __future__ import annotations

import re
from concurrent.futures import Future

import pytest
import yaml
from confluent_kafka import KafkaError, KafkaException

from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.project import load

CONTRACT = """kind: DataContract
apiVersion: v3.0.2
id: rooms
version: 1.0.0
schema:
  - name: rooms
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
"""


@pytest.fixture
def hotel(tmp_path):
    """A project's folder with one table of events."""
    files = {"lake/sources/web.yml": "kind: events\ntables: {rooms: rooms}\n", "schemas/rooms.yaml": CONTRACT}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "headrace.yml").write_text("name: hotel\n")
    return tmp_path


@pytest.fixture
def kept(hotel):
    """kept(days): the retention of a table's topic in ms, as text."""

    def found(days: object) -> str:
        (hotel / "headrace.yml").write_text(yaml.safe_dump({"name": "hotel", "retention_days": days}))
        project = load(hotel)
        return topics.wanted(project)["rooms"][1]["retention.ms"]

    return found


def test_changes_are_kept_for_ever_or_for_so_many_days(kept):
    assert kept(None) == "-1"
    assert kept(7) == str(7 * 24 * 3600 * 1000)
    with pytest.raises(HeadraceError, match="retention_days"):
        kept(0)


class Brokers:
    """Stands for the bus's administration while its brokers start one by one; real ones are in tests/engine."""

    def __init__(self, refused: dict[str, int]) -> None:
        self.refused, self.asked = refused, list[list[str]]()

    def create_topics(self, topics):
        self.asked.append([topic.topic for topic in topics])
        return {topic.topic: self._future(topic.topic) for topic in topics}

    def _future(self, name: str) -> Future[None]:
        found: Future[None] = Future()
        left = self.refused.get(name, 0)
        if left:
            self.refused[name] = left - 1
            found.set_exception(KafkaException(KafkaError(KafkaError.INVALID_REPLICATION_FACTOR, "only 2 brokers")))
        else:
            found.set_result(None)
        return found


def test_topics_wait_for_the_brokers_that_their_replicas_need(hotel, monkeypatch):
    monkeypatch.setattr(topics, "PAUSE", 0.0)
    monkeypatch.setattr(topics.bus, "partitions", lambda *given: {})
    project = load(hotel)
    first, *others = topics.wanted(project)
    brokers = Brokers({first: 2})
    assert set(topics.ensure(project, brokers)) == {first, *others}  # type: ignore[arg-type]
    assert [len(asked) for asked in brokers.asked] == [len(others) + 1, 1, 1]
    monkeypatch.setattr(topics, "BROKERS_SECONDS", 0.0)
    with pytest.raises(HeadraceError, match=f"{re.escape(first)} could not be created: only 2 brokers"):
        topics.ensure(project, Brokers({first: 1}))  # type: ignore[arg-type]
