"""The landing worker: a consumer-group member that moves every topic of the project into the lake, exactly once.

It may be killed at any point, several may run, and one may sleep through a rebalance: positions live in the lake, each
commit checks them, and whoever finds them moved discards its batch and reads again from there.
"""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from deltalake.exceptions import DeltaError

from headrace.errors import HeadraceError
from headrace.ingest import bus, changes, headers, topics
from headrace.ingest.decode import WrongTimestamp
from headrace.ingest.lane import Lane
from headrace.ingest.layout import Layout
from headrace.ingest.stalls import Stalls
from headrace.ingest.wall_clock import WallClock
from headrace.lake import landing
from headrace.project import Project, load

ROWS = 50_000  # of a batch
BYTES = 10 << 20  # of a batch, as the messages came; decoded it takes a few times that
READ = 2000  # messages at a time
PAUSE = 0.05  # seconds until more is asked for when there were fewer
SECONDS = 2.0  # a batch waits for, unless somebody waits for it (a marker of `mark`)
LOOK = 5.0  # seconds between looks at files and topics
REPORT = 30.0
RETRY = 15.0  # seconds until a stopped topic is tried again
_SETTINGS = {
    "isolation_level": "read_committed",
    "enable_partition_eof": True,  # for Stalls
    "enable_auto_commit": False,  # positions are the lake's
    "auto_offset_reset": "error",  # a log that starts after our position has lost records: never skip them in silence
    "partition_assignment_strategy": "roundrobin",
    "session_timeout_ms": 15000,
    "max_poll_interval_ms": 300000,
    "queued_max_messages_kbytes": 16384,
    "fetch_message_max_bytes": bus.MAX_MESSAGE,
    "fetch_wait_max_ms": 100,
    "topic_metadata_refresh_interval_ms": 10000,
}


def group(project: Project) -> str:
    """The consumer group of a project's landing workers: two projects on one bus do not share partitions."""
    return f"headrace-{project.settings.name}-landing"


def main(project: Project) -> None:
    """Lands until SIGTERM or SIGINT; then commits what it has and leaves the group."""
    worker = Worker(project)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()


class Worker:
    """One member of the group. `run` blocks until `stop`."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._running = True
        self._assigned: set[tuple[str, int]] = set()
        self._rows = self._bytes = 0
        self._began: float | None = None  # when the oldest uncommitted message was read
        self._urgent = False
        self._drained = False  # what was there is read: a moment's wait before more is asked for
        self._away = ""
        self._retry_at = 0.0
        self._stalls = Stalls()
        self._said: dict[str, str] = {}  # topic → why it stopped, as logged last
        self._counts = [0, 0]
        self._reported = time.monotonic()

    def stop(self) -> None:
        """Lets `run` commit what was read and return."""
        self._running = False

    def run(self) -> None:
        """Lands every topic of the project until `stop`; outlives the bus, the lake and mistakes in files."""
        self._layout = Layout(self.project)
        self._files = changes.stamp(self.project.root)
        if not self._connect():
            return
        look_at, clock = time.monotonic() + LOOK, WallClock()
        while self._running:
            clock.leave_if_set_back()
            self._read()
            now = time.monotonic()
            due = self._began is not None and now - self._began >= SECONDS
            if due or self._urgent or self._rows >= ROWS or self._bytes >= BYTES:
                self._flush()
            if now >= look_at:
                look_at = now + LOOK
                self._look()
            self._report(now)
        self._flush()
        self._consumer.close()

    def _connect(self) -> bool:
        """Waits for the bus and joins the group; False when stopped meanwhile."""
        pause = 0.5
        while self._running:
            try:
                topics.ensure(self.project, self._layout.admin)
                self._layout.look()
                break
            except (HeadraceError, KafkaException) as error:
                self._gone(error)
                time.sleep(pause)
                pause = min(pause * 2, 10)
        else:
            return False
        self._back()
        self._join()
        return True

    def _join(self) -> None:
        settings = bus.settings(self.project, group_id=group(self.project), **_SETTINGS) | {"error_cb": self._error}
        self._consumer = Consumer(settings)
        self._subscribe()

    def _subscribe(self) -> None:
        if self._layout.lanes:
            callbacks = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
            self._consumer.subscribe(sorted(self._layout.lanes), **callbacks)
            self._say(f"landing {', '.join(sorted(self._layout.lanes))}")
        else:
            self._consumer.unsubscribe()
            self._say("the project has no tables yet")

    # Membership

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._assigned = {(p.topic, p.partition) for p in partitions}
        self._seat()

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._flush()  # still ours until this returns; what can't be committed is read again by the next owner
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._discard()
        self._assigned = set()
        consumer.unassign()

    def _seat(self) -> None:
        """Opens the tables of all assigned partitions and reads on from the positions stored there."""
        self._discard()
        seats = []
        for topic in sorted({topic for topic, _ in self._assigned}):
            lane = self._layout.lanes.get(topic)
            if lane is None or topic in self._layout.paused:
                continue
            mine = sorted(p for t, p in self._assigned if t == topic)
            try:
                self._layout.open(lane)
                seats += [TopicPartition(topic, p, lane.position(p)) for p in mine]
            except (HeadraceError, DeltaError, OSError) as error:
                self._stop_lane(lane, error)
        self._stalls.seated(seats)
        self._consumer.assign(seats)  # a stopped or paused topic stays ours, but is not read
        if paused := sorted(self._layout.paused & {topic for topic, _ in self._assigned}):
            self._say(f"paused: {', '.join(paused)}")

    def _stop_lane(self, lane: Lane, error: Exception) -> None:
        reason = str(error).strip() or type(error).__name__
        if self._said.get(lane.topic) != reason:
            self._say(f"STOPPED {lane.topic}: {reason}")
            self._said[lane.topic] = reason
        lane.discard()
        lane.stopped = reason
        self._retry_at = time.monotonic() + RETRY

    # Reading and committing

    def _read(self) -> None:
        grouped: dict[str, list[Any]] = {}
        # The client waits by the clock on the wall: one that is set back meanwhile would hold us for as long.
        if self._drained:
            time.sleep(PAUSE)
        messages = self._consumer.consume(READ, 0)
        self._drained = len(messages) < READ
        for message in messages:
            error = message.error()
            if error is None:
                grouped.setdefault(str(message.topic()), []).append(message)
                self._rows += 1
                self._bytes += len(message.value() or b"")
                if not self._urgent and message.key() is None and self._awaited(message):
                    self._urgent = True
            elif error.code() == KafkaError._PARTITION_EOF:
                self._stalls.ended(message)
            else:
                self._failed(message, error)
        if grouped:
            self._back()
            self._began = self._began or time.monotonic()
        reseat = False
        for topic, messages in grouped.items():
            lane = self._layout.lanes.get(topic)
            if lane is None or lane.stopped:
                continue
            try:
                lane.take(messages)
            except WrongTimestamp as error:
                self._untimed(lane, error)
                reseat = True
        if reseat:
            self._flush()
            self._seat()

    def _untimed(self, lane: Lane, error: WrongTimestamp) -> None:
        """A record without append time stops its topic while that is misconfigured; later it goes to quarantine."""
        lane.discard()
        try:
            lane.strict = not self._layout.has_append_time(lane.topic)
        except (HeadraceError, KafkaException):
            lane.strict = True
        if lane.strict:
            fix = "set message.timestamp.type=LogAppendTime on the topic (headrace up does), then landing goes on"
            self._stop_lane(lane, HeadraceError(f"{error}: no append time of the broker", hint=fix))

    def _awaited(self, message: Any) -> bool:
        marker = headers.parse(message.headers()).marker
        return marker is not None and not marker.startswith(headers.QUIET)

    def _failed(self, message: Any, error: KafkaError) -> None:
        lane = self._layout.lanes.get(message.topic() or "")
        if error.code() == KafkaError._AUTO_OFFSET_RESET and lane:
            text = f"the topic no longer holds the position stored in the lake, records are lost: {error.str()}"
            self._stop_lane(
                lane, HeadraceError(text, hint="was the topic's retention changed, or the topic made anew?")
            )
        elif error.code() not in (
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._TRANSPORT,
        ):
            self._say(f"{message.topic()}: {error.str()}")

    def _flush(self) -> None:
        reseat = False
        for lane in self._layout.lanes.values():
            if not lane.pending or lane.stopped:
                continue
            try:
                landed, bad = lane.flush()
                self._counts[0] += landed
                self._counts[1] += bad
                if self._said.pop(lane.topic, None):
                    self._say(f"{lane.topic}: goes on")
            except landing.Stale as error:
                self._say(f"{lane.topic}: read again, {error}")
                reseat = True
            except (HeadraceError, DeltaError, OSError) as error:
                self._stop_lane(lane, error)
                reseat = True
        self._rows = self._bytes = 0
        self._began, self._urgent = None, False
        if reseat:
            self._seat()

    def _discard(self) -> None:
        for lane in self._layout.lanes.values():
            lane.discard()
        self._rows = self._bytes = 0
        self._began, self._urgent = None, False

    # Now and then

    def _look(self) -> None:
        """Takes up changed files and new topics, and tries stopped topics again."""
        stamp = changes.stamp(self.project.root)
        try:
            if stamp != self._files:
                project = self._load(stamp)
                if project is None:
                    return
                self.project = project
                topics.ensure(self.project, self._layout.admin)
                self._flush()
                resubscribe, reseat = self._layout.reload(self.project)
            else:
                resubscribe, reseat = self._layout.look()
            stalled = self._stalls.look(self._consumer, self._layout.admin, time.monotonic())
        except (HeadraceError, KafkaException) as error:
            self._gone(error)
            return
        self._back()
        if resubscribe:
            self._flush()
            self._subscribe()
        elif stalled:
            self._say(f"{stalled}: reading again")
            self._flush()
            self._consumer.close()
            self._join()
        elif reseat or (self._retry_at and time.monotonic() >= self._retry_at):
            self._retry_at = 0.0
            self._flush()
            self._seat()

    def _load(self, stamp: frozenset[tuple[str, int, int]]) -> Project | None:
        self._files = stamp
        try:
            project = load(self.project.root)
        except HeadraceError as error:
            self._say(f"the project as it was stays in use: {error}")
            return None
        self._say(f"the project changed: {len(project.tables)} tables, {len(project.problems)} mistakes")
        return project

    def _error(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE):
            self._gone(error)

    def _gone(self, error: object) -> None:
        if not self._away:
            self._away = str(error)
            self._say(f"waiting for the bus: {self._away.splitlines()[0].strip()}")

    def _back(self) -> None:
        if self._away:
            self._away = ""
            self._say("the bus answers again")

    def _report(self, now: float) -> None:
        took = now - self._reported
        if took >= REPORT:
            landed, bad = self._counts
            if landed or bad:
                self._say(f"landed {landed:,} rows in {took:.0f} s ({landed / took:,.0f}/s), {bad:,} to quarantine")
            self._counts, self._reported = [0, 0], now

    def _say(self, text: str) -> None:
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} landing: {text}", flush=True)
