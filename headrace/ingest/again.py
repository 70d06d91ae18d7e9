"""Quarantined rows on their way back: as the messages that replay them, and what landing would say to those now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from headrace.ingest import headers
from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.decode import LOG_APPEND_TIME, MAX_VALUE, Decoder
from headrace.lake.letters import Letter
from headrace.lake.rows import FIRST, ORIGIN
from headrace.project import Source, Table

_OURS = (ORIGIN, FIRST, headers.LANDED)


class Again:
    """A quarantined row as a message, readable like one of confluent_kafka: same key, value, partition and headers.

    Headers more: the row's origin; where the message stood first (also when it is replayed for the second time); and,
    where the original was landed without its after-image, that it was. Headers whose bytes are no UTF-8 are sent as
    quarantine shows them, and of headers of one name the last.
    """

    __slots__ = ("first", "landed", "letter")

    def __init__(self, letter: Letter, landed: bool) -> None:
        self.letter = letter
        before = headers.parse([(n, None if v is None else v.encode()) for n, v in self._known().items()])
        self.first = letter.offset if before.first is None else before.first
        # Once landed, always landed: a change that was replayed and rejected again may not even have a known key then.
        self.landed = landed or before.landed

    def headers(self) -> list[tuple[str, bytes | None]]:
        found = {name: value for name, value in self._known().items() if name not in _OURS}
        found |= {ORIGIN: self.letter.origin, FIRST: str(self.first)} | (
            {headers.LANDED: "true"} if self.landed else {}
        )
        return [(name, None if value is None else value.encode()) for name, value in found.items()]

    def _known(self) -> dict[str, str | None]:
        return orjson.loads(self.letter.headers) if self.letter.headers else {}

    def value(self) -> bytes | None:
        return self.letter.raw

    def key(self) -> bytes | None:
        return self.letter.raw_key

    def timestamp(self) -> tuple[int, int]:
        return LOG_APPEND_TIME, round(self.letter.appended_at.timestamp() * 1000)

    def topic(self) -> str:
        return self.letter.topic

    def partition(self) -> int:
        return self.letter.partition

    def offset(self) -> int:
        return self.letter.offset


@dataclass(frozen=True, slots=True)
class Verdict:
    """What landing would do with a message now: reject it (`reason`), land it under a key at a position, or both."""

    message: Again
    reason: str = ""
    column: str | None = None
    key: str | None = None
    epoch: int = 0
    position: str = ""

    @property
    def oversize(self) -> bool:
        """Whether the row is larger than landing takes: nothing that a contract says can change that."""
        return len(self.message.value() or b"") > MAX_VALUE


def judge(table: Table, source: Source, messages: list[Again]) -> list[Verdict]:
    """The verdicts of the table's present contract, by the decoder that landing uses. Sends nothing."""
    decoder = Decoder(table, source.kind, source.mode)
    return [_judge(decoder, message) for message in messages]


def _judge(decoder: Decoder, message: Again) -> Verdict:
    landed, rejected = Landed(), Rejected()
    decoder.decode([message], landed, rejected)
    said: dict[str, Any] = {}
    for row in rejected.rows:
        said = {"reason": row["reason"], "column": row["column"]}
    if len(landed):
        said |= {"key": landed.key[0], "epoch": landed.headers[0].epoch, "position": landed.position[0]}
    return Verdict(message, **said)
