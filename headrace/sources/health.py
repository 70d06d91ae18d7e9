"""Whether a source works: its connection, its connector, its topics, and when its tables last landed anything."""

from __future__ import annotations

from typing import Any

from headrace.errors import HeadraceError
from headrace.ingest import bus, connectors, controls, database, drift, epochs, lag, limits, topics
from headrace.ingest.paused import Pauses
from headrace.lake import landing, observed
from headrace.project import Project, Source
from headrace.pulls.kinds import PULLED

_TIMED = "LogAppendTime"


def check(project: Project, sources: tuple[Source, ...]) -> list[dict[str, Any]]:
    """One row per table: source, table, state, last_landed, how many of its columns are not as its contract says,
    log_bytes and log_seconds of the source (see headrace.ingest.lag), a note, and what is wrong with it ('' when
    nothing is).

    Changes nothing. Parts that are away are named in the rows; nothing is raised.
    """
    connector, broken = _connectors(project)
    settings, ids, bus_error = _topics(project, sources)
    decided = {} if bus_error else controls.read(project)
    pauses = Pauses.of(decided)
    found = []
    for source in sources:
        wrong = _connection(project, source)
        state, log = "", lag.LogLag(source.name)
        if source.mode == "cdc":
            known = connector.get(source.name, {"state": "UNKNOWN", "error": broken})
            state = connectors.PAUSED if pauses.source(source.name) else str(known["state"])
            wrong += [str(known["error"])] if known["error"] else []
            log = lag.measure(project, source) if not (wrong or bus_error) else log
            wrong += [said for said in (limits.warning(source, log), _unheld(log, state)) if said]
            pause = pauses.source(source.name)
            wrong += [pause.text] if pause and pause.who == limits.WHO else []
            wrong += ["there is no connector: headrace up   makes it"] if state == "MISSING" else []
        for table in source.tables:
            problems = [
                *wrong,
                *([bus_error] if bus_error else _topic(project, table.name, table.topic, settings, ids)),
            ]
            pause = pauses.table(table)
            moment, seen = landing.last_landed(project, table.name), observed.find(project, table.name)
            found.append(
                {
                    "source": source.name,
                    "table": table.name,
                    "state": connectors.PAUSED if pause else state or ("FAILED" if problems else "OK"),
                    "last_landed": moment.isoformat(timespec="seconds") if moment else None,
                    "drifted": len(list(drift.differences(table.contract, seen, captured=source.mode == "cdc"))),
                    "log_bytes": log.held,
                    "log_seconds": log.seconds,
                    "note": "; ".join(
                        filter(None, [pause.text if pause else "", epochs.note(project, decided, table)])
                    ),
                    "wrong": "; ".join(problems),
                }
            )
    return found


def _unheld(log: lag.LogLag, state: str) -> str:
    """What a source lacks whose log nobody keeps; while it has no connector, or is paused without one, that is so."""
    return log.wrong if state == "RUNNING" else ""


def _connectors(project: Project) -> tuple[dict[str, dict[str, Any]], str]:
    try:
        return {s["source"]: s for s in connectors.states(project)} if _captured(project) else {}, ""
    except HeadraceError as error:
        return {}, error.problems[0].message


def _captured(project: Project) -> bool:
    return any(source.mode == "cdc" for source in project.sources)


def _connection(project: Project, source: Source) -> list[str]:
    try:
        if source.mode == "cdc":
            with database.connect(project, source) as cursor:
                cursor.execute("SELECT 1")
        elif source.kind in PULLED:
            PULLED[source.kind].probe(project, source)
    except HeadraceError as error:
        return [f"{p.place}: {p.message}" if p.place else p.message for p in error.problems]
    return []


def _topics(project: Project, sources: tuple[Source, ...]) -> tuple[dict[str, dict[str, str]], dict[str, str], str]:
    names = [table.topic for source in sources for table in source.tables]
    try:
        client = bus.admin(project)
        there = [name for name in names if name in bus.partitions(project, client, timeout=5)]
        if not there:
            return {}, {}, ""
        return topics.configurations(client, there), bus.topic_ids(project, client, there), ""
    except HeadraceError as error:
        return {}, {}, error.problems[0].message


def _topic(
    project: Project, table: str, topic: str, settings: dict[str, dict[str, str]], ids: dict[str, str]
) -> list[str]:
    if topic not in settings:
        return [f"topic {topic} is not on the bus: headrace up   makes it"]
    wrong = []
    kind = settings[topic].get("message.timestamp.type")
    if kind != _TIMED:
        wrong.append(
            f"topic {topic} has message.timestamp.type={kind}, landing needs {_TIMED}: headrace up   repairs it"
        )
    landed = landing.topic_id(project, table)
    if landed and ids.get(topic, landed) != landed:
        wrong.append(f"topic {topic} was deleted and made anew: landing of {table} has stopped")
    return wrong
