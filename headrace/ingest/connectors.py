"""Connectors on Kafka Connect: one per CDC source, named like it."""

from __future__ import annotations

import time
from typing import Any

import httpx

from headrace.errors import HeadraceError
from headrace.ingest import database, debezium
from headrace.lake import observed
from headrace.project import Project, Source
from headrace.project.observed import unfilled

State = dict[str, Any]
_PATIENCE = 60.0  # seconds one call to Connect may take: it validates a configuration against the database
_BUSY = 409  # Connect is rebalancing: the same call works a little later


def ensure(project: Project) -> list[State]:
    """Makes every CDC source's connector run as its file says; returns `states`, with an `error` where one doesn't.

    Idempotent. A source that can't be reached, or whose configuration is refused, does not hold up the others. A
    failed task is started again. When tables were added, or columns that have values in rows which never changed
    since, the source is snapshotted anew under a new epoch. Raises HeadraceError when Connect does not answer. Never
    removes a connector.
    """
    sources = [s for s in project.sources if s.mode == "cdc"]
    if not sources:
        return []
    trouble: dict[str, tuple[str, list[str]]] = {}
    with _client(project) as client:
        for source in sources:
            try:
                trouble[source.name] = ("", _ensure(project, source, client))
            except HeadraceError as error:
                trouble[source.name] = (str(error), [])
    found = states(project)
    for state in found:
        error, warnings = trouble[state["source"]]
        state["error"] = error or state["error"]
        state["warnings"] = warnings
        if state["state"] == "MISSING":  # Connect tells a connector's state a moment after it took its configuration
            state["state"] = "REFUSED" if error else "STARTING"
    return found


def states(project: Project) -> list[State]:
    """{"source", "state", "tasks", "error"} of each CDC source's connector.

    `state` is FAILED when a task is, MISSING when there is no connector. Raises HeadraceError when Connect is away.
    """
    with _client(project) as client:
        known = _call(client, "GET", "/connectors", params={"expand": "status"})
    found = []
    for source in project.sources:
        if source.mode == "cdc":
            status = known.get(source.name, {}).get("status")
            found.append(_state(source, status))
    return found


def outdated(project: Project) -> dict[str, tuple[str, ...]]:
    """Source → its tables' columns, as table.column, whose values in older rows only a new snapshot brings
    (CORRECTNESS 3); `ensure` takes it. Asks Connect only when there may be such a column."""
    sources = [s for s in project.sources if s.mode == "cdc" and _untold(project, s, 0)]
    if not sources:
        return {}
    found = {}
    with _client(project) as client:
        for source in sources:
            known = _call(client, "GET", f"/connectors/{source.name}/config", missing=None)
            if known and (columns := _untold(project, source, int(known[debezium.EPOCH]))):
                found[source.name] = columns
    return found


def restart(project: Project, source: Source) -> None:
    """Starts a source's connector and its failed tasks again."""
    with _client(project) as client:
        _call(
            client, "POST", f"/connectors/{source.name}/restart", params={"includeTasks": "true", "onlyFailed": "true"}
        )


def _ensure(project: Project, source: Source, client: httpx.Client) -> list[str]:
    known = _call(client, "GET", f"/connectors/{source.name}/config", missing=None)
    warnings = database.prepare(project, source)
    epoch = int(known[debezium.EPOCH]) if known else int(time.time())
    wanted = debezium.config(project, source, epoch)
    if known and (_tables(wanted) - _tables(known) or _untold(project, source, epoch)):
        _forget(client, source)
        wanted = debezium.config(project, source, max(int(time.time()), epoch + 1))
    if known is None or {k: v for k, v in known.items() if k != "name"} != wanted:
        _call(client, "PUT", f"/connectors/{source.name}/config", json=wanted, source=source)
    if known and (status := _call(client, "GET", f"/connectors/{source.name}/status", missing=None)):
        state = _state(source, status)["state"]
        if state not in ("RUNNING", "FAILED"):  # a stopped one is UNASSIGNED, too, while it takes a configuration
            _call(client, "PUT", f"/connectors/{source.name}/resume")
        elif state == "FAILED":
            params = {"includeTasks": "true", "onlyFailed": "true"}
            _call(client, "POST", f"/connectors/{source.name}/restart", params=params)
    return warnings


def _untold(project: Project, source: Source, epoch: int) -> tuple[str, ...]:
    """Columns that came with values in rows which were there before, since the snapshot of this epoch."""
    return tuple(
        f"{table.name}.{column}"
        for table in source.tables
        for column in unfilled(table.contract, observed.find(project, table.name), epoch)
    )


def _forget(client: httpx.Client, source: Source) -> None:
    """Stops the connector and drops its position, so that it begins with a snapshot of all its tables."""
    _call(client, "PUT", f"/connectors/{source.name}/stop")
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        status = _call(client, "GET", f"/connectors/{source.name}/status")
        if status["connector"]["state"] == "STOPPED" and not status["tasks"]:
            break
        time.sleep(0.2)
    _call(client, "DELETE", f"/connectors/{source.name}/offsets")


def _tables(config: dict[str, str]) -> set[str]:
    return set(config.get("table.include.list", "").split(","))


def _state(source: Source, status: dict[str, Any] | None) -> State:
    if status is None:
        return {"source": source.name, "state": "MISSING", "tasks": [], "error": ""}
    parts = [status["connector"], *status["tasks"]]
    failed = [part for part in parts if part["state"] == "FAILED"]
    return {
        "source": source.name,
        "state": "FAILED" if failed else status["connector"]["state"],
        "tasks": [task["state"] for task in status["tasks"]],
        "error": _cause(failed[0].get("trace", "")) if failed else "",
    }


def _cause(trace: str) -> str:
    """The innermost cause of a Java stack trace, as one line."""
    causes = [line for line in trace.splitlines() if line.startswith("Caused by: ")] or trace.splitlines()[:1]
    return causes[-1].removeprefix("Caused by: ").strip() if causes else ""


def _client(project: Project) -> httpx.Client:
    return httpx.Client(base_url=project.addresses.connect, timeout=_PATIENCE)


_RAISE = object()


def _call(
    client: httpx.Client, method: str, path: str, *, missing: Any = _RAISE, source: Source | None = None, **more: Any
) -> Any:
    """One call to Connect; waits while it rebalances. A refused configuration is an error at the source's file."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            answer = client.request(method, path, **more)
        except httpx.HTTPError as error:
            message = f"Kafka Connect at {client.base_url} does not answer: {error or type(error).__name__}"
            raise HeadraceError(message, hint="headrace status   shows whether it runs") from error
        busy = answer.status_code == _BUSY or (answer.is_error and "rebalance" in answer.text)
        if not busy or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if answer.status_code == 404 and missing is not _RAISE:
        return missing
    if answer.is_error:
        said = answer.json().get("message", answer.text) if answer.text.startswith("{") else answer.text
        place = source.place if source else None
        raise HeadraceError(f"Kafka Connect refuses {method} {path}: {said.strip()}", place=place)
    return answer.json() if answer.content else None
