"""Partitions that the bus's client has stopped reading, though the bus has records in them.

Clients have been seen to ask for ever for a leader that is another by now (librdkafka's issues 4425 and 4492), where a
new start reads on at once. Whoever only waits for records can't tell that from a topic in which nothing happens.
"""

from __future__ import annotations

import os
from typing import Any

from confluent_kafka import Message, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace.ingest import bus
from headrace.ingest.wall_clock import AGAIN

ANEW = 60.0  # seconds without a record that is there, until whoever reads begins again with a new client
LEAVE = 300.0  # and until its process does: more than it takes to skip what a long transaction left that was aborted

Partition = tuple[str, int]  # topic, number


class Stalls:
    """Compares what a consumer has read with what it could have. It needs the client's `enable.partition.eof`."""

    def __init__(self) -> None:
        self._reached: dict[Partition, int] = {}  # where reading began or met the end, which a marker may be before
        self._still: dict[Partition, tuple[int, float]] = {}  # position, and since when there was more behind it
        self._due = ANEW
        self._looked = 0.0

    def seated(self, seats: list[TopicPartition]) -> None:
        """The consumer begins at these positions."""
        self._reached = {(seat.topic, seat.partition): seat.offset for seat in seats}

    def ended(self, message: Message) -> None:
        """The consumer met the end of a partition."""
        self._reached[str(message.topic()), int(message.partition() or 0)] = int(message.offset() or 0)

    def look(self, consumer: Any, client: AdminClient, now: float) -> str:
        """Why a new consumer should take over, in words, or ''; `now` in seconds that only tick.

        Ends the process when that has not helped for long: for one that may be killed at any point.
        """
        read = {(p.topic, p.partition): p.offset for p in consumer.position(consumer.assignment())}
        if not read:
            return ""  # it is joining its group
        if now - self._looked > ANEW:
            self._still = {}  # they were another's meanwhile, or nobody had the time to read
        self._looked = now
        positions = {one: max(offset, self._reached.get(one, 0)) for one, offset in read.items()}
        same = {one: self._still[one] for one, at in positions.items() if self._still.get(one, (None,))[0] == at}
        ends = bus.committed(client, list(same))
        behind = {one: same[one] for one, end in ends.items() if end > positions[one]}
        self._still = {one: behind.get(one, (at, now)) for one, at in positions.items()}
        worst = min(behind, key=lambda one: behind[one][1], default=("", 0))
        seconds = now - behind[worst][1] if behind else 0.0
        if seconds >= LEAVE:
            print(f"{_named(worst)} has not been read for {seconds:.0f} s: starting anew", flush=True)
            os._exit(AGAIN)
        if seconds < self._due:
            self._due = self._due if seconds >= ANEW else ANEW
            return ""
        self._due += ANEW
        return f"{_named(worst)} has not been read for {seconds:.0f} s"


def _named(partition: Partition) -> str:
    return f"partition {partition[1]} of {partition[0]}"
