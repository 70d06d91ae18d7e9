"""Landing and quarantine rows under construction: one list per column, turned into Arrow once per batch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.ingest.headers import Headers
from headrace.lake import rows

_INSTANT = pa.timestamp("us", "UTC")


class Landed:
    """Rows of one table that a batch lands. Constant columns are filled in at the end."""

    def __init__(self) -> None:
        self.op: list[str] = []
        self.key: list[str | None] = []
        self.before: list[str | None] = []
        self.after: list[str | None] = []
        self.moment: list[datetime | None] = []
        self.fallback: list[int] = []
        self.position: list[str] = []
        self.headers: list[Headers] = []
        self.snapshot: list[str] = []
        self.partition: list[int] = []
        self.offset: list[int] = []
        self.appended: list[int] = []
        self.event_id: list[str | None] = []
        self.transaction_id: list[str | None] = []

    def __len__(self) -> int:
        return len(self.op)

    def add(self, op: str, key: str | None, before: str | None, after: str | None, moment: datetime | None, fallback: int, position: str, headers: Headers, snapshot: str, partition: int, offset: int, appended: int, event_id: str | None, transaction_id: str | None) -> None:  # fmt: skip  # noqa: E501 - the hot path: positional
        """One row; `fallback` is the event time in milliseconds when the contract's column gives none."""
        self.op.append(op)
        self.key.append(key)
        self.before.append(before)
        self.after.append(after)
        self.moment.append(moment)
        self.fallback.append(fallback)
        self.position.append(position)
        self.headers.append(headers)
        self.snapshot.append(snapshot)
        self.partition.append(partition)
        self.offset.append(offset)
        self.appended.append(appended)
        self.event_id.append(event_id)
        self.transaction_id.append(transaction_id)

    def marker(self, message: Any, headers: Headers, appended: int) -> None:
        """A marker lands as a row of its own, so that its position is proven by a row as well.

        One that says that a snapshot is complete also has the snapshot's epoch and position.
        """
        at, snapshot = (message.partition(), message.offset()), rows.COMPLETE if headers.floor else "false"
        self.add("m", None, None, None, None, appended, headers.floor, headers, snapshot, *at, appended, None, None)

    def unfit(self) -> dict[tuple[int, int], str]:
        """(partition, offset) → why, of the rows that can't be Arrow: halved until each stands alone."""
        try:
            self.table("", "", datetime.now(UTC))
        except (ArithmeticError, TypeError, ValueError) as error:  # Arrow's own errors are ValueErrors, too
            if len(self) == 1:
                return {(self.partition[0], self.offset[0]): f"can't be landed: {error}"}
            half = len(self) // 2
            return self._part(0, half).unfit() | self._part(half, len(self)).unfit()
        return {}

    def _part(self, begin: int, end: int) -> Landed:
        part = Landed()
        part.__dict__ = {name: column[begin:end] for name, column in self.__dict__.items()}
        return part

    def table(self, topic: str, version: str, now: datetime) -> pa.Table:
        """The rows as Arrow, in the columns of a landing table."""
        size = len(self.op)
        fallback = pc.cast(pa.array(self.fallback, pa.timestamp("ms", "UTC")), _INSTANT)
        columns = {
            "op": pa.array(self.op, pa.string()),
            "key": pa.array(self.key, pa.string()),
            "before": pa.array(self.before, pa.string()),
            "after": pa.array(self.after, pa.string()),
            "event_time": pc.coalesce(pa.array(self.moment, _INSTANT), fallback),
            "position": pa.array(self.position, pa.string()),
            "epoch": pa.array([h.epoch for h in self.headers], pa.int64()),
            "snapshot": pa.array(self.snapshot, pa.string()),
            "topic": _same(topic, size, pa.string()),
            "partition": pa.array(self.partition, pa.int32()),
            "offset": pa.array(self.offset, pa.int64()),
            "appended_at": pc.cast(pa.array(self.appended, pa.timestamp("ms", "UTC")), _INSTANT),
            "timestamp_type": _same("LogAppendTime", size, pa.string()),
            "event_id": pa.array(self.event_id, pa.string()),
            "transaction_id": pa.array(self.transaction_id, pa.string()),
            "correlation_id": pa.array([h.correlation for h in self.headers], pa.string()),
            "causation_id": pa.array([h.causation for h in self.headers], pa.string()),
            "headers": pa.array([h.text for h in self.headers], pa.string()),
            "landed_at": _same(now, size, _INSTANT),
            "contract_version": _same(version, size, pa.string()),
            "landing_date": _same(now.astimezone(UTC).date(), size, pa.date32()),
        }
        return pa.table([columns[name] for name in rows.LANDING.names], schema=rows.LANDING)


class Rejected:
    """Rows that go to quarantine, as they came."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, message: Any, headers: Headers, appended: int, reason: str, column: str | None) -> None:
        """One message with the reason why it breaks its contract."""
        self.rows.append(
            {
                "raw": message.value(),
                "raw_key": message.key(),
                "reason": reason,
                "column": column,
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "appended_at": appended * 1000,
                "headers": headers.text,
            }
        )

    def table(self, version: str, now: datetime) -> pa.Table:
        """The rows as Arrow, in the columns of a quarantine table."""
        extra = {"contract_version": version, "quarantined_at": now, "landing_date": now.astimezone(UTC).date()}
        return pa.Table.from_pylist([row | extra for row in self.rows], schema=rows.QUARANTINE)


def _same(value: object, size: int, kind: pa.DataType) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), size)
