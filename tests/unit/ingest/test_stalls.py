"""When a reader without records is stuck, and when there are none. No client gets stuck when told to: a mock does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from headrace.ingest import bus, stalls
from headrace.ingest.stalls import ANEW, LEAVE, Stalls

ONE, OTHER = ("visits", 0), ("visits", 1)
STEP = 5.0


class Reader:
    """A consumer that stands where it was set, and what the bus would have for it; `look` some seconds later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.ends, self.now = {ONE: 3, OTHER: 3}, {ONE: 3, OTHER: 3}, 1000.0
        self.stalls = Stalls()
        self.stalls.seated([TopicPartition(*one, 3) for one in self.at])
        monkeypatch.setattr(bus, "committed", lambda client, asked: {k: e for k, e in self.ends.items() if k in asked})

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*one) for one in self.at]

    def position(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(*one, at) for one, at in self.at.items()]

    def look(self, seconds: float) -> list[str]:
        said, end = [], self.now + seconds
        while self.now < end:
            self.now += STEP
            said.append(self.stalls.look(self, None, self.now))  # type: ignore[arg-type]
        return [text for text in said if text]

    def meets_the_end(self, one: tuple[str, int], offset: int) -> None:
        message: Any = SimpleNamespace(topic=lambda: one[0], partition=lambda: one[1], offset=lambda: offset)
        self.stalls.ended(message)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(monkeypatch)


def test_a_topic_in_which_nothing_happens_is_read(reader: Reader):
    assert reader.look(10 * LEAVE) == []


def test_a_reader_that_moves_is_not_stuck_however_far_behind(reader: Reader):
    for _ in range(20):
        reader.ends[ONE] += 1_000_000
        reader.at[ONE] += 1
        assert reader.look(ANEW - STEP) == []


def test_an_end_of_a_transaction_is_no_record(reader: Reader):
    reader.ends[ONE] = 4
    reader.meets_the_end(ONE, 4)
    assert reader.look(10 * LEAVE) == []


def test_records_that_do_not_come_let_it_begin_again_and_the_others_do_not_hide_them(reader: Reader):
    reader.ends[ONE] = 9
    assert reader.look(ANEW - STEP) == []
    reader.at[OTHER] = reader.ends[OTHER] = 5
    (said,) = reader.look(2 * STEP)
    assert said == f"partition 0 of visits has not been read for {ANEW:.0f} s"
    assert len(reader.look(2 * ANEW)) == 2, "once a minute, not at each look"
    reader.at[ONE] = 9
    assert reader.look(10 * LEAVE) == []


def test_a_reader_that_was_seated_where_it_was_and_has_read_nothing_is_still_stuck(reader: Reader):
    reader.ends[ONE] = 9
    assert len(reader.look(ANEW + STEP)) == 1
    reader.at[ONE] = -1001  # the client's word for "nothing read yet"
    reader.stalls.seated([TopicPartition(*ONE, 3), TopicPartition(*OTHER, 3)])
    assert len(reader.look(2 * ANEW)) == 2


def test_a_reader_that_joins_its_group_again_is_still_stuck_and_one_that_was_away_is_not(reader: Reader):
    reader.ends[ONE] = 9
    assert reader.look(ANEW - STEP) == []
    at, reader.at = reader.at, {}
    assert reader.look(STEP) == []
    reader.at = at
    assert len(reader.look(STEP)) == 1
    reader.at = {}
    reader.look(2 * ANEW)
    reader.at = at
    assert reader.look(ANEW - STEP) == []


def test_when_that_does_not_help_the_process_ends(reader: Reader, monkeypatch, capsys):
    left: list[int] = []
    monkeypatch.setattr(stalls.os, "_exit", left.append)
    reader.ends[OTHER] = 4
    reader.look(LEAVE - STEP)
    assert not left
    reader.look(2 * STEP)
    assert left
    assert "partition 1 of visits has not been read for 300 s: starting anew" in capsys.readouterr().out


def test_a_partition_of_which_the_bus_does_not_tell_is_not_the_reader_s_fault(reader: Reader):
    reader.ends = {}
    assert reader.look(10 * LEAVE) == []
