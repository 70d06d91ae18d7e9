"""What couriers' devices and the app say on the bus: JSON, keyed by order (pings by courier), each acknowledged."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from demo.counts import Counts
from demo.ledger import Ledger
from demo.link import PATIENCE
from headrace.errors import HeadraceError


class Sent(NamedTuple):
    table: str
    topic: str
    key: str
    value: bytes
    kind: str
    correlation: str
    moment: datetime


class Events:
    """Sends events. `flush` returns when each is acknowledged and in the ledger.

    Within one producer the broker drops what is sent twice; an event in doubt after the producer itself failed is sent
    again under its own event_id, which its contract knows as a repeat. Raises HeadraceError when the bus stays away for
    PATIENCE.
    """

    def __init__(self, bus: str, topics: dict[str, str], ledger: Ledger, counts: Counts) -> None:
        self._bus, self._topics, self._ledger, self._counts = bus, topics, ledger, counts
        self._failed: list[Sent] = []
        self._away = False
        self._producer = self._open()

    def send(self, table: str, key: str, value: bytes, kind: str, moment: datetime, correlation: str) -> None:
        self._produce(Sent(table, self._topics[table], key, value, kind, correlation, moment))
        self.tend()

    def tend(self) -> None:
        """Takes acknowledgements in, and sends again what failed."""
        self._producer.poll(0)
        if self._failed:
            self._producer.purge()  # what is still in doubt fails now, and is sent again
            self._producer.flush(5)
            self._producer = self._open()
            failed, self._failed = self._failed, []
            for sent in failed:
                self._produce(sent)
        self._ledger.write()

    def flush(self) -> None:
        """Waits until the bus has acknowledged everything."""
        deadline = time.monotonic() + PATIENCE
        while len(self._producer) or self._failed:
            self._producer.flush(1)
            self.tend()
            if time.monotonic() > deadline:
                raise HeadraceError(
                    f"the bus at {self._bus} does not acknowledge", hint="headrace status   shows what runs"
                )
        self._ledger.write()

    def close(self) -> None:
        self.flush()
        self._ledger.close()

    def _produce(self, sent: Sent) -> None:
        def answered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed.append(sent)
                return
            self._away = False
            self._ledger.add(sent.topic, message.partition() or 0, message.offset() or 0, sent.kind, sent.value)
            self._counts.add(sent.table, "sent" if sent.kind == "event" else f"sent {sent.kind}")

        headers: dict[str, str | bytes | None] = {"correlation-id": sent.correlation}
        while True:
            try:
                self._producer.produce(sent.topic, sent.value, sent.key, headers=headers, on_delivery=answered)
                return
            except BufferError:  # the bus is slow or away
                self._producer.poll(0.1)
            except KafkaException:  # this producer is beyond repair
                self._failed.append(sent)
                return

    def _open(self) -> Producer:
        options = {
            "bootstrap.servers": self._bus,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "message.timeout.ms": 0,  # an event is never given up
            "reconnect.backoff.max.ms": 1000,
            "retry.backoff.ms": 100,
            "log_level": 0,
            "error_cb": self._error,
        }
        return Producer(options)

    def _error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            print("demo: the bus is away, trying again", file=sys.stderr)
