"""Dead letters are sent again after their contract was mended, or given up.

Each row lands once, whenever a replay is killed, repeated or run twice at a time. The order of steps gives that:
1. One transactional id per table: to begin ends the transaction of any earlier replay, which then can't commit.
2. Markers are written behind everything on the topic and waited for: what an earlier replay did commit is on the lake.
3. Only now the lake is asked which rows are open: those whose origin no message on the lake names.
4. All of them are sent in one transaction, each with its origin in a header.
The lock in PostgreSQL only keeps two replays from disturbing each other, and a row from being dropped meanwhile.
"""

from __future__ import annotations

import getpass
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

from confluent_kafka import KafkaException, Producer

from headrace.errors import HeadraceError, Problem
from headrace.ingest import bus, changes, markers, paused
from headrace.ingest.again import Again, Verdict, judge
from headrace.ingest.decode import MAX_VALUE
from headrace.ingest.worker import LOOK
from headrace.lake import decisions, landing, letters, order, paths
from headrace.lake.letters import Letter
from headrace.lake.selection import Selection
from headrace.project import Project, Table
from headrace.pulls.transaction import SECONDS, fenced, send, transaction
from headrace.serve.database import locked

# Readers of the topic stand still behind an open transaction: that of a killed replay ends by itself after this.
_TRANSACTION_MS = 60_000
POLL_SECONDS = 0.2

Say = Callable[[str], None]
Rows = list[dict[str, Any]]  # table, outcome, rows, reason, column: what `headrace dlq replay` prints


def replay(project: Project, selection: Selection, force: bool, timeout: float, say: Say = lambda text: None) -> Rows:
    """Sends the selected open rows to their topics again; returns what became of how many, by table and reason.

    Rows that the present contract would reject are left where they are, unless `force`. Rows that landing can't take
    whatever their contract says are never sent. Waits until landing has taken up what was sent, so that the outcome
    is known. Raises HeadraceError when landing does not keep up within `timeout` seconds; what was sent stays sent.
    """
    table_of = {table.topic: table for table in project.tables.values()}
    results: Rows = []
    for topic, count in letters.open_topics(project, selection).items():
        table = table_of.get(topic)
        if table is None:
            mistakes = " (files of the project have mistakes: headrace check)" if project.problems else ""
            results.append(_row(paths.UNKNOWN, "left", count, f"no table declares topic {topic}{mistakes}"))
            continue
        if pause := paused.read(project).landing(project, table):
            results.append(_row(table.name, "left", count, pause.text))
            continue
        _known_to_landing(project, say)
        results += _replay(project, table, selection, force, timeout, say)
    return results


def drop(project: Project, selection: Selection, reason: str) -> Rows:
    """Gives up the selected open rows, for the reason: they are no longer open and never replayed. Bytes are kept.

    Idempotent: rows that are not open are left as they are, and so are earlier decisions.
    """
    dropped: Counter[str] = Counter()
    for topic in letters.open_topics(project, selection):
        with locked(project, _lock(topic)):
            found = letters.find(project, selection, state="open", topic=topic, raw=False)
            decisions.drop(project, found, reason, _who())
        dropped.update(letter.table for letter in found)
    return [{"table": table, "dropped": count} for table, count in sorted(dropped.items())]


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container whose user has no name
        return f"user {os.getuid()}"


def _replay(project: Project, table: Table, selection: Selection, force: bool, timeout: float, say: Say) -> Rows:
    deadline = time.monotonic() + timeout
    settings = bus.producer_settings(
        project,
        transactional_id=f"headrace-replay-{project.settings.name}-{table.name}",
        transaction_timeout_ms=_TRANSACTION_MS,
    )
    try:
        with locked(project, _lock(table.topic)):
            producer = Producer(settings)
            producer.init_transactions(SECONDS)
            say(f"{table.name}: waiting until landing has read its topic to the end")
            _landed_to_the_end(project, table, deadline)
            found = letters.find(project, selection, state="open", topic=table.topic)
            chosen, left = _choose(project, table, found, force)
            if chosen:
                say(f"{table.name}: sending {len(chosen):,} rows")
                _send(producer, chosen)
    except KafkaException as error:
        if fenced(error):
            message = f"another replay of table {table.name!r} has begun, or the bus was too slow: this one gave way"
            raise HeadraceError(message, hint="headrace dlq list   shows what is still open") from error
        raise bus.unreachable(project, error) from error
    if not chosen:
        return left
    say(f"{table.name}: waiting until they are landed")
    try:
        _landed_to_the_end(project, table, deadline)
    except HeadraceError as error:
        sent = Problem(f"{len(chosen)} rows of {table.name} were sent all the same", hint="headrace dlq list")
        raise HeadraceError(*error.problems, sent) from error
    return _outcome(project, table, chosen) + left


def _send(producer: Producer, verdicts: list[Verdict]) -> None:
    """All of them or none: see headrace.pulls.transaction."""
    with transaction(producer):
        for message in (verdict.message for verdict in verdicts):
            head = message.headers()
            send(producer, message.topic(), message.value(), message.key(), head, message.partition())


def _choose(project: Project, table: Table, found: list[Letter], force: bool) -> tuple[list[Verdict], Rows]:
    """The messages to send, in the order of their keys' changes, and why the others are left."""
    landed = letters.landed(project, table.name, found)
    messages = [Again(letter, letter.origin in landed) for letter in found]
    verdicts = judge(table, project.source(table.source), messages)
    partitions = bus.partitions(project).get(table.topic, 0)
    chosen, left = [], []
    for verdict in sorted(verdicts, key=lambda v: (v.message.partition(), v.message.first)):
        why = _impossible(verdict, partitions) or ("" if force else verdict.reason)
        if why:
            left.append((why, verdict.column))
        else:
            chosen.append(verdict)
    late = order.overtaken(project, table.name, [_place(v) for v in chosen if v.key is not None])
    why = "a later change of the same key and source transaction is landed: sent again, this one would undo it"
    left += [(why, None)] * len(late)
    return [v for v in chosen if v.message.letter.origin not in late], _counted(table, "left", left)


def _impossible(verdict: Verdict, partitions: int) -> str:
    """Why a message can't be sent whatever its contract says; '' when it can."""
    if verdict.oversize:
        size = len(verdict.message.value() or b"")
        return f"oversize: {size} bytes can't be replayed, also not by --force, while {MAX_VALUE} are allowed"
    if verdict.message.partition() >= partitions:
        return f"the topic has no partition {verdict.message.partition()} any more"
    return ""


def _place(verdict: Verdict) -> order.Place:
    message = verdict.message
    at = message.partition(), message.offset(), message.first
    return order.Place(message.letter.origin, verdict.key or "", verdict.epoch, verdict.position, *at)


def _outcome(project: Project, table: Table, sent: list[Verdict]) -> Rows:
    """What landing made of the messages: those in quarantine again name the origin of the row that they repeat."""
    origins = {verdict.message.letter.origin for verdict in sent}
    again = letters.again(project, table.name, origins)
    landed = len(sent) - len(again)
    rows = [_row(table.name, "replayed", landed)] if landed else []
    return rows + _counted(table, "rejected again", again)


def _landed_to_the_end(project: Project, table: Table, deadline: float) -> None:
    """Returns when everything that is on the table's topic now is in landing or in quarantine."""
    targets = markers.write(project, [table.topic], uuid4().hex, max(1.0, min(30.0, deadline - time.monotonic())))
    if not targets:
        raise HeadraceError(f"topic {table.topic} is not on the bus", hint="headrace up   makes it")
    while True:
        reached = landing.positions(project, table.name)
        behind = [p for (_, p), at in targets.items() if reached.get(p, 0) <= at]
        if not behind:
            return
        if time.monotonic() > deadline:
            hint = "headrace status   shows whether landing runs; headrace logs landing   whether it stopped this topic"
            raise HeadraceError(f"landing has not read topic {table.topic} to its end in time", hint=hint)
        time.sleep(POLL_SECONDS)


def _known_to_landing(project: Project, say: Say) -> None:
    """Gives landing workers, which look at the files every LOOK seconds, the time to take up a contract just mended.

    Not a matter of safety: a row that an old contract rejects again is in quarantine again.
    """
    changed = max((at for _, at, _ in changes.stamp(project.root)), default=0) / 1e9
    pause = min(2 * LOOK, changed + 2 * LOOK - time.time())
    if pause > 0:
        say("files were changed just now: waiting until landing knows them")
        time.sleep(pause)


def _lock(topic: str) -> str:
    return f"dead letters of {topic}"


def _counted(table: Table, outcome: str, reasons: Iterable[tuple[str, str | None]]) -> Rows:
    return [_row(table.name, outcome, n, *why) for why, n in Counter(reasons).most_common()]


def _row(table: str, outcome: str, rows: int, reason: str = "", column: str | None = None) -> dict[str, Any]:
    return {"table": table, "outcome": outcome, "rows": rows, "reason": reason, "column": column}
