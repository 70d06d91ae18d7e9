"""One topic on its way into the lake: what was read and not yet committed, and the tables it is committed to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.decode import Decoder, Message, reject_all
from headrace.ingest.evolve import Watch
from headrace.ingest.source_columns import Asked
from headrace.lake import landing, observed, paths
from headrace.project import Project, Table
from headrace.project.observed import keep


class Lane:
    """A topic with its landing table and quarantine. Without a declared table everything on it is rejected.

    `open` reads the stored positions, `take` decodes messages, `flush` commits them: quarantine first, then landing
    with the new positions. Rows are landed exactly once whatever dies between: see headrace.lake.landing.
    """

    def __init__(self, project: Project, topic: str, table: Table | None) -> None:
        self.project, self.topic, self.table = project, topic, table
        self.stopped = ""  # why nothing of this topic is landed at the moment
        self.strict = True  # a record without append time stops the topic; else it goes to quarantine
        self.topic_id = ""
        self._next: dict[int, int] = {}
        self._unfit: dict[tuple[int, int], str] = {}  # (partition, offset) → why it can't be landed
        self._landing: Any = None
        self._quarantine: Any = None
        self._decoder: Decoder | None = None
        if table:
            source = project.source(table.source)
            asked = Asked(project, source, table) if source.mode == "cdc" else None
            self._decoder = Decoder(table, source.kind, source.mode, Watch(table, source.mode, types=asked))
        self.discard()

    def open(self, topic_id: str, partitions: int) -> None:
        """Opens the tables and forgets what was read. Raises HeadraceError when another topic was landed before."""
        self.discard()
        self.topic_id = topic_id
        if self.table:
            self._landing = landing.open_landing(self.project, self.table.name, topic_id, partitions)
            self._quarantine = self._quarantine and landing.open_quarantine(self.project, self.table.name)
            self._observed()
        else:
            self._quarantine = landing.open_quarantine(self.project, paths.UNKNOWN)
        self.stopped = ""

    def position(self, partition: int) -> int:
        """The next offset to read, from the lake; what is read from there on may be taken."""
        if self.table:
            self._next[partition] = landing.stored(self._landing, self.topic_id, partition)
            if self._decoder and self._decoder.repeats:
                self._decoder.newest[partition] = landing.newest(self._landing, self.topic_id, partition)
        else:
            self._next[partition] = landing.rejected(self._quarantine, self.topic_id, partition)
        return self._next[partition]

    def discard(self) -> None:
        """Forgets what was read and not committed."""
        self.landed, self.rejected = Landed(), Rejected()
        self._read: dict[int, int] = {}

    def take(self, messages: list[Message]) -> None:
        """Decodes messages. Raises WrongTimestamp; then the lane must be discarded."""
        if self._decoder:
            fit = self._fit(messages) if self._unfit else messages
            self._decoder.decode(fit, self.landed, self.rejected, strict=self.strict)
        else:
            reject_all(messages, self.rejected, f"unknown table: no source declares topic {self.topic}")
        for message in messages:
            self._read[message.partition()] = message.offset() + 1

    @property
    def pending(self) -> bool:
        return bool(self._read)

    def flush(self) -> tuple[int, int]:
        """Commits what was taken; returns how many rows landed and how many were newly rejected.

        Raises landing.Stale, and then the lane must be opened again; errors of storage are passed on. A batch with rows
        that no table can hold is Stale, too: they are known by then, and go to quarantine when it is read again.
        """
        if not self._read:
            return 0, 0
        now = datetime.now(UTC)
        version = self.table.contract.version if self.table else ""
        bad, data = 0, self._arrow(version, now) if self.table else None
        if self._decoder and self._decoder.watch.changed:
            self._observed()
        if self.rejected or not self.table:
            bad = self._reject(version, now)
        if self.table:
            moves = {p: (self._next[p], at) for p, at in self._read.items()}
            landing.append(self._landing, data, self.topic_id, moves)
        landed = len(self.landed)
        self._next |= self._read
        self._unfit = {at: why for at, why in self._unfit.items() if at[1] >= self._next.get(at[0], 0)}
        self.discard()
        return landed, bad

    def _fit(self, messages: list[Message]) -> list[Message]:
        """Those that a table can hold, as far as that is known; the others are rejected."""
        fit = []
        for message in messages:
            why = self._unfit.get((message.partition(), message.offset()))
            if why is None:
                fit.append(message)
            else:
                reject_all([message], self.rejected, why)
        return fit

    def _arrow(self, version: str, now: datetime) -> Any:
        try:
            return self.landed.table(self.topic, version, now)
        except (ArithmeticError, TypeError, ValueError) as error:
            unfit = self.landed.unfit()
            if not unfit:
                raise
            self._unfit |= unfit  # what is read again may be more, with others among it
            raise landing.Stale(f"{len(unfit)} of {len(self.landed)} rows can't be landed: {error}") from error

    def _observed(self) -> None:
        """Puts what the decoder saw of the rows' columns on record, and takes from there what other workers saw."""
        decoder = self._decoder
        if decoder is None:
            return
        if decoder.watch.changed:
            known = observed.record(self._landing, decoder.watch.observed)
            decoder.watch.changed = False
        else:
            known = observed.read(self._landing)
        decoder.watch.take(known)
        decoder.compile()
        keep(self.project.state, self.table.name, known)  # type: ignore[union-attr]

    def _reject(self, version: str, now: datetime) -> int:
        if self._quarantine is None:  # made with the first bad row, so that the folder says at a glance who has any
            self._quarantine = landing.open_quarantine(self.project, self.table.name)  # type: ignore[union-attr]
        table = self.rejected.table(version, now)
        return landing.append_quarantine(self._quarantine, table, self.topic_id, self._read)
