"""How long the state of a live view's speed job lay unused, which must be less than Flink keeps it.

Flink's own answer reaches as far back as its last ten checkpoints, and no further than its JobManager's start. So the
newest checkpoint that was seen is noted in `ops.speed_jobs`, and so is the longest outage.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from headrace.stream.flink_rest import Flink, at_work

if TYPE_CHECKING:
    import psycopg


def begun(connection: psycopg.Connection, view: str, version: str, job_id: str) -> None:
    """Notes a job that has just begun, with empty state."""
    connection.execute(
        "INSERT INTO ops.speed_jobs (view, version, flink_job_id, sound_at) VALUES (%s, %s, %s, now())"
        " ON CONFLICT (view, version) DO UPDATE"
        " SET flink_job_id = EXCLUDED.flink_job_id, sound_at = now(), longest_outage = 0",
        (view, version, job_id),
    )


def forget(connection: psycopg.Connection, view: str, version: str) -> None:
    connection.execute("DELETE FROM ops.speed_jobs WHERE view = %s AND version = %s", (view, version))


def longest(connection: psycopg.Connection, flink: Flink, job_id: str) -> float:
    """The longest outage of a job that runs, in seconds, the one that it may be in included; notes where it is now.

    Between two calls it may be taken for longer than it was, by the time since the first of them; never for shorter.
    """
    checkpoints = flink.checkpoints(job_id)
    query = "SELECT extract(epoch FROM sound_at)::float8, longest_outage FROM ops.speed_jobs WHERE flink_job_id = %s"
    noted, found = connection.execute(query, (job_id,)).fetchone() or (0.0, 0.0)
    found = max(found, outage(flink.job(job_id) or {}, checkpoints, noted, time.time()))
    connection.execute(
        "UPDATE ops.speed_jobs SET sound_at = greatest(sound_at, to_timestamp(%s)),"
        " longest_outage = greatest(longest_outage, %s) WHERE flink_job_id = %s",
        (max(_completed(checkpoints).values(), default=0.0), found, job_id),
    )
    return found


def outage(job: dict[str, Any], checkpoints: dict[str, Any], noted: float, now: float) -> float:
    """Seconds that a job's state lay unused: since its last checkpoint where it does not run, or before the last
    restore of one. A job without a checkpoint begins at the cut by itself: it has no state to lose.

    `job` and `checkpoints` are Flink's answers; `noted` is when a checkpoint of the job, or its begin, was last seen,
    0 for never, and `now` the time, both in Unix seconds.
    """
    done, restored = _completed(checkpoints), (checkpoints.get("latest") or {}).get("restored")
    found = [0.0]
    if restored and (before := done.get(restored["id"], noted)):
        found.append(restored["restore_timestamp"] / 1000 - before)
    newest = max([noted, *done.values()])
    if newest and not (job.get("state") == "RUNNING" and at_work(job)):
        found.append(now - newest)
    return max(found)


def _completed(checkpoints: dict[str, Any]) -> dict[int, float]:
    """Checkpoint's id → when it was completed, in Unix seconds, of those that Flink remembers."""
    latest = (checkpoints.get("latest") or {}).get("completed")
    known = [*(checkpoints.get("history") or []), *filter(None, [latest])]
    return {c["id"]: c["latest_ack_timestamp"] / 1000 for c in known if c["status"] == "COMPLETED"}
