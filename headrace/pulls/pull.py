"""Pulls of cron sources: what folders, queries and services have that no pull has brought, onto the bus, exactly once.

Rows travel the same road as captured changes, as op 'u' without before-image, or as 'd' where they are gone. The rows
of a step and the record of what was pulled (topic headrace.pulls) are one Kafka transaction, and a source's pulls share
one transactional id: a pull that was killed leaves nothing visible, and a second one at the same time fences the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import orjson
from confluent_kafka import KafkaException, Producer

from headrace.errors import HeadraceError, Problem
from headrace.ingest import bus, paused, topics
from headrace.project import Project, Source, Table
from headrace.pulls.delivered import Delivered
from headrace.pulls.kinds import PULLED, Turn
from headrace.pulls.message import message
from headrace.pulls.pulled import Line, Report, State
from headrace.pulls.transaction import SECONDS, fenced, send, transaction

_TRANSACTION_MS = 600_000


class Overtaken(HeadraceError):
    """Another pull of the source has begun since; it may still be at work, or have been killed."""


def pull(project: Project, source: Source, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Pulls a cron source once; returns {"source", "tables": {table: rows}, "skipped": [reason], "paused": [table]}.

    Guarantee: each row of a file, query result or answer is on the bus once, whenever the pull is killed or repeated;
    a file that can't be read is named in `skipped` and pulled when it can, a paused table in `paused`. Raises
    Overtaken when another pull of the source begins meanwhile, HeadraceError when the bus is away, and when tables
    could not be pulled: after the others were, with one problem for each.
    """
    if source.mode != "cron":
        raise HeadraceError(f"source {source.name!r} is not pulled: its changes come by themselves", place=source.place)
    topics.ensure(project)
    pauses = paused.read(project)
    tables = [table for table in source.tables if not pauses.table(table)]
    result: dict[str, Any] = {"source": source.name, "tables": {}, "skipped": []}
    result["paused"] = [table.name for table in source.tables if table not in tables]
    if not tables:
        return result
    producer = Producer(
        bus.producer_settings(
            project,
            transactional_id=f"headrace-pull-{project.settings.name}-{source.name}",
            transaction_timeout_ms=_TRANSACTION_MS,
            linger_ms=20,
        )
    )
    failed: list[Problem] = []
    try:
        producer.init_transactions(SECONDS)
        states = _states(project, source)  # after the fence: nobody else can commit a state any more
        for table in tables:
            report = Report()
            result["tables"][table.name] = 0
            try:
                turn = Turn(
                    project, source, table, states.get(table.name, State()), report, partial(_delivered, project, table)
                )
                for lines, state in PULLED[source.kind].steps(turn):
                    result["tables"][table.name] += _deliver(producer, source, table, lines, state)
                    say(f"{table.name}: {result['tables'][table.name]:,} rows")
            except HeadraceError as error:
                failed += error.problems
            result["skipped"] += report.skipped
    except KafkaException as error:
        if fenced(error):
            raise Overtaken(f"another pull of source {source.name!r} has begun: this one gave way") from error
        raise bus.unreachable(project, error) from error
    if failed:
        raise HeadraceError(*dict.fromkeys(failed), *(f"not pulled: {reason}" for reason in result["skipped"]))
    return result


def listing(project: Project, source: Source, table: Table) -> tuple[int, Delivered]:
    """The number of the last step that pulls delivered of a table, and what they had then (see Source.listed).

    Both are of one moment. Raises HeadraceError when the bus is away.
    """
    while True:
        before = _states(project, source).get(table.name, State()).pull
        found = _delivered(project, table) if before else Delivered(table.contract.key, ())
        if before == _states(project, source).get(table.name, State()).pull:
            return before, found


def _delivered(project: Project, table: Table) -> Delivered:
    records = bus.read_to_end(project, topics.delivered(table))
    return Delivered(table.contract.key, (((r.key() or b"").decode(), r.value()) for r in records))


def _deliver(producer: Producer, source: Source, table: Table, lines: Iterator[Line], state: State) -> int:
    """One step: its rows and its state in one transaction."""
    count = 0
    with transaction(producer):
        for line in lines:
            _produce(producer, table, source, line, state.pull)
            count += 1
        for name, part in state.parts.items():
            send(producer, topics.delivered(table), part, name.encode(), None)
        key = f"{source.name}/{table.name}"
        producer.produce(topics.PULLS, orjson.dumps(state.to_json()), key)
    return count


def _produce(producer: Producer, table: Table, source: Source, line: Line, pull: int) -> None:
    key, value, head = message(table, source, line, pull)
    send(producer, table.topic, value, key, head)


def _states(project: Project, source: Source) -> dict[str, State]:
    states = {}
    for record in bus.read_to_end(project, topics.PULLS):
        name, _, table = (record.key() or b"").decode().partition("/")
        if name == source.name and record.value():
            states[table] = State.from_json(orjson.loads(record.value()))
    return states
