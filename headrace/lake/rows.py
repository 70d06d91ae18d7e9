"""The columns of landing and quarantine rows: the same for every table, so no contract change rewrites the lake."""

from __future__ import annotations

import pyarrow as pa

# Headers that the lake itself reads, in the JSON of the column `headers`; headrace.ingest.again writes them.
ORIGIN = "headrace-origin"  # of a replayed message: the message that it repeats, as topic/partition/offset/append time
FIRST = "headrace-first"  # of a replayed message: the offset at which the message was sent first

COMPLETE = "complete"  # `snapshot` of a marker: a snapshot of the table is whole, and what lies below it is gone

BROKEN = "null"  # JSON's own: there was an image, and it says nothing that counts

_INSTANT = pa.timestamp("us", "UTC")

LANDING = pa.schema(
    [
        ("op", pa.string()),  # r snapshot, c create, u update, d delete, t truncate, m marker
        ("key", pa.string()),  # JSON of the contract's key columns; null for t and m
        ("before", pa.string()),  # JSON; null when none was sent, BROKEN when it does not keep the contract
        ("after", pa.string()),  # JSON; null for d, and when it does not keep the contract
        ("event_time", _INSTANT),  # the contract's column, else the source's commit time, else appended_at
        ("position", pa.string()),  # sortable within one source; changes are ordered by (position, offset)
        ("epoch", pa.int64()),  # when the connector was first registered (Unix seconds); 0 for cron and events
        ("snapshot", pa.string()),  # Debezium's source.snapshot, or COMPLETE; 'false' for what is not a snapshot
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("appended_at", _INSTANT),  # the broker's append time: the cut is computed from it
        ("timestamp_type", pa.string()),
        ("event_id", pa.string()),
        ("transaction_id", pa.string()),  # the source's own: PostgreSQL's xid, MariaDB's GTID; null for the rest
        ("correlation_id", pa.string()),
        ("causation_id", pa.string()),
        ("headers", pa.string()),  # JSON object; null when the message has none
        ("landed_at", _INSTANT),
        ("contract_version", pa.string()),
        ("landing_date", pa.date32()),
    ]
)

QUARANTINE = pa.schema(
    [
        ("raw", pa.binary()),
        ("raw_key", pa.binary()),
        ("reason", pa.string()),
        ("column", pa.string()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("appended_at", _INSTANT),
        ("headers", pa.string()),
        ("contract_version", pa.string()),
        ("quarantined_at", _INSTANT),
        ("landing_date", pa.date32()),
    ]
)

# What was decided about rows of a quarantine. They themselves stay as they are.
DECISIONS = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("appended_at", _INSTANT),
        ("reason", pa.string()),  # why the row is given up
        ("who", pa.string()),
        ("decided_at", _INSTANT),
    ]
)

# Only what readers prune by: statistics of JSON texts would only make the Delta log large.
STATISTICS = "epoch,position,partition,offset,appended_at,event_time"
QUARANTINE_STATISTICS = "partition,offset,appended_at"
