"""Messages of one topic → columns of landing rows, or quarantine rows with a reason. No engine, no clock: only bytes.

Judged per image (CORRECTNESS 7): a change whose `after` breaks the contract is quarantined, and still landed with
`after` null where its key is known, because its key has no valid row from then on; a `before` that breaks it lands as
JSON's null: it was sent, which a missing one was not. A replayed message (headrace.ingest.again) keeps its first place
in the order of its key's changes.

Debezium sends the newest row again when Connect is killed between rows of one log record of PostgreSQL (a COPY writes
many rows in one). No two changes of a key have one LSN and one op, so such a row is known, and landed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.evolve import Watch, allowed
from headrace.ingest.headers import Headers, parse
from headrace.ingest.images import complete, incomplete
from headrace.ingest.positions import INCREMENTAL, positioner, transactioner
from headrace.lake.rows import BROKEN
from headrace.project import Contract, Table
from headrace.project.contract import FREEZE
from headrace.sql.validity import Invalid, compile_check

MAX_VALUE = 1 << 20  # bytes; larger values go to quarantine: a row this large breaks every reader behind the lake
LOG_APPEND_TIME = 2  # confluent_kafka.TIMESTAMP_LOG_APPEND_TIME
_CHANGES = frozenset("crudt")
_DATA = frozenset("crud")

Change = tuple[str, str, str]  # position, op, key
Message = Any  # confluent_kafka.Message: value(), key(), headers(), timestamp(), partition(), offset()


class WrongTimestamp(Exception):
    """A record does not carry the broker's append time, so no cut could be computed from it (CORRECTNESS 5)."""


class Reject(Exception):
    """A message that lands nothing: its reason and, where one is to blame, the column."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column


class Decoder:
    """Decodes the messages of one table's topic; compiled from its contract, so made anew when the contract changes.

    What the rows show of a change of their columns is in `watch`, to be recorded before the rows are landed.
    """

    def __init__(self, table: Table, kind: str, mode: str, watch: Watch | None = None) -> None:
        contract = table.contract
        self.table, self.events, self._captured = table, mode == "events", mode == "cdc"
        self.watch = watch or Watch(table, mode)
        self._frozen = contract.schema_change == FREEZE
        self._shape: tuple[str, ...] = ()
        self.compile()
        self._keys = contract.key
        self._key_check = compile_check([c for c in contract.columns if c.key])
        self._event_id = contract.event_id
        self._event_time = bool(contract.event_time)
        self._position = positioner(kind)
        self._transaction = transactioner(kind)
        self.repeats = self._captured and kind == "postgresql"
        self.newest: dict[int, Change | None] = {}  # partition → its newest change, where there are repeats

    def compile(self) -> None:
        """Takes up the contract as it is together with what was observed."""
        self._check = compile_check(self.watch.checked, self.table.contract.event_time)

    def decode(self, messages: Iterable[Message], landed: Landed, rejected: Rejected, *, strict: bool = True) -> None:
        """Appends each message to `landed`, to `rejected`, or (an invalid image of a known key) to both.

        Raises WrongTimestamp at a record without append time when `strict`; else that record is rejected.
        """
        for message in messages:
            kind, appended = message.timestamp()
            headers = parse(message.headers())
            try:
                if kind != LOG_APPEND_TIME:
                    if strict:
                        raise WrongTimestamp(f"partition {message.partition()}, offset {message.offset()}")
                    raise Reject(
                        "the record has no append time of the broker (message.timestamp.type is not LogAppendTime)"
                    )
                value = message.value()
                if headers.marker is not None:
                    # Services write to topics of events themselves: what they can't do is to take rows away.
                    landed.marker(message, headers._replace(floor="") if self.events else headers, appended)
                elif value is None:
                    raise Reject("empty message")
                elif len(value) > MAX_VALUE:
                    raise Reject(f"oversize: {len(value)} bytes, allowed are {MAX_VALUE}")
                elif self.events:
                    self._event(message, value, headers, appended, landed)
                else:
                    self._change(message, value, headers, appended, landed, rejected)
            except Reject as error:
                rejected.add(message, headers, appended, error.reason, error.column)
            except WrongTimestamp:
                raise
            except Exception as error:  # a row that nobody thought of must not hold up all others
                rejected.add(message, headers, appended, f"can't be read: {type(error).__name__}: {error}", None)

    def _event(self, message: Message, value: bytes, headers: Headers, appended: int, landed: Landed) -> None:
        row = _object(value)
        try:
            moment = self._valid(row)
        except Invalid as error:
            raise Reject(error.reason, error.column) from None
        if tuple(row) != self._shape:
            self._see(row, "c", headers, "", message, appended)
        offset, partition = message.offset(), message.partition()
        event_id = row.get(self._event_id) if self._event_id else None
        # A replayed event stands where it was sent first: newer events of its key stay newer.
        position = f"{partition:06d}/{offset if headers.first is None else headers.first:020d}"
        landed.add(
            "c", self._key(row), None, value.decode(), moment, appended, position, headers, "false",
            partition, offset, appended, None if event_id is None else str(event_id), None,
        )  # fmt: skip

    def _change(
        self, message: Message, value: bytes, headers: Headers, appended: int, landed: Landed, rejected: Rejected
    ) -> None:
        if headers.error:  # the pull could not read it, even if it happens to be JSON
            raise Reject(headers.error)
        change = _object(value)
        op = change.get("op")
        if op not in _CHANGES:
            raise Reject(f"not a change: op is {op!r}, expected one of c, r, u, d, t", "op")
        source = change.get("source")
        if type(source) is not dict:
            raise Reject("not a change: `source` is missing", "source")
        try:
            position = self._position(change)
        except (KeyError, TypeError, ValueError):
            raise Reject("the change has no source position", "source") from None
        partition, offset = message.partition(), message.offset()
        moment, key, before, after = None, None, None, None
        event_id, snapshot = None, source.get("snapshot") if op == "r" else None  # see positions: others may lie
        if op in _DATA:
            before, after = change.get("before"), change.get("after")
            image = before if op == "d" else after
            if type(image) is not dict:
                image = self._without_image(op, message)
                before = after = None
            key = self._known_key(image)
            if self.repeats and op != "r" and headers.first is None:
                if self.newest.get(partition) == (position, op, key):
                    return
                self.newest[partition] = position, op, key
            if headers.landed and op != "d":
                # A replayed change whose original was landed, its before-image with it: only the after-image is new.
                # Landed a second time, `before` would be taken off every sum of signed changes twice.
                before = None
            if before is not None:
                before, moment = self._image(before)
            if op == "d":
                after = None
            elif after is not None:
                if self._captured and tuple(after) != self._shape:  # also of a broken row: it has its table's columns
                    # A chunk that was read earlier may lack what this one has: it tells as little as any change.
                    told = "u" if snapshot == INCREMENTAL else op
                    self._see(after, told, headers, position, message, appended)
                try:
                    if incomplete(value):
                        complete(after, change.get("before"), self.watch.contract.names)
                    moment = self._valid(after)
                    if not self._captured and tuple(after) != self._shape:
                        self._see(after, op, headers, position, message, appended)
                    after = orjson.dumps(after).decode()
                except Invalid as error:
                    after = None
                    rejected.add(message, headers, appended, error.reason, error.column)
            if self._event_id and image.get(self._event_id) is not None:
                event_id = str(image[self._event_id])
        committed = source.get("ts_ms")
        fallback = committed if type(committed) is int else appended
        landed.add(
            op, key, before, after, moment, fallback, position, headers, snapshot if type(snapshot) is str else "false",
            partition, offset, appended, event_id, self._transaction(source),
        )  # fmt: skip

    def _image(self, image: Any) -> tuple[str | None, datetime | None]:
        if type(image) is not dict:
            return None, None
        try:
            moment = self._valid(image)
        except Invalid:
            return BROKEN, None
        return orjson.dumps(image).decode(), moment

    def _see(
        self, image: dict[str, Any], op: str, headers: Headers, position: str, message: Message, appended: int
    ) -> None:
        self._shape = tuple(image)
        at = f"{message.topic()}/{message.partition()}/{message.offset()}"
        if self.watch.see(image, op, (headers.epoch, position), (at, appended)):
            self.compile()

    def _valid(self, image: dict[str, Any]) -> datetime | None:
        """The image's event time. Raises Invalid when it breaks its contract, also as that has evolved."""
        if self._frozen:
            allowed(self.table.contract, image)
        while True:
            try:
                return self._check(image)
            except Invalid as error:  # each turn widens a column, and a column can't be widened for ever
                if not self.watch.widen(error.column, image.get(error.column)):
                    raise
                self.compile()

    def _known_key(self, image: dict[str, Any]) -> str:
        try:
            self._key_check(image)
        except Invalid as error:
            raise Reject(error.reason, error.column) from None
        return self._key(image)

    def _key(self, image: dict[str, Any]) -> str:
        return orjson.dumps({name: image[name] for name in self._keys}).decode()

    def _without_image(self, op: str, message: Message) -> dict[str, Any]:
        """A delete without before-image still names its row by the message's key; anything else says nothing."""
        if op != "d":
            raise Reject("the change has no row after it", "after")
        try:
            return _object(message.key() or b"")
        except Reject:
            raise Reject("the delete has neither a row before it nor a key", "before") from None


def reject_all(messages: Iterable[Message], rejected: Rejected, reason: str) -> None:
    """Rejects every message but markers: for topics that no table declares."""
    for message in messages:
        headers = parse(message.headers())
        if headers.marker is None:
            rejected.add(message, headers, message.timestamp()[1], reason, None)


def _object(value: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Reject(f"not JSON: {error}") from None
    if type(found) is not dict:
        raise Reject(f"not a JSON object but {type(found).__name__}")
    return found


__all__: list[str] = ["LOG_APPEND_TIME", "MAX_VALUE", "Contract", "Decoder", "Reject", "WrongTimestamp", "reject_all"]
