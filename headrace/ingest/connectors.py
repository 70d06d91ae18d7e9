"""Connectors on Kafka Connect: one per CDC source, named like it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from headrace.errors import HeadraceError
from headrace.ingest import controls, database, debezium, epochs
from headrace.ingest.controls import Records
from headrace.ingest.paused import Pauses
from headrace.lake import observed
from headrace.project import Project, Source
from headrace.project.observed import unfilled

State = dict[str, Any]
_PATIENCE = 60.0  # seconds one call to Connect may take: it validates a configuration against the database
PAUSED = "PAUSED"
_BUSY = 409  # Connect is rebalancing: the same call works a little later


def ensure(project: Project) -> list[State]:
    """Makes every CDC source's connector run as its file says; returns `states`, with an `error` where one doesn't, and
    `refused` with what went wrong in this call.

    Idempotent. A source that can't be reached, or whose configuration is refused, does not hold up the others. A
    failed task is started again. When tables were added, or columns that have values in rows which never changed
    since, the source is snapshotted anew under a new epoch, as when somebody asked for one. The connector of a paused
    source is stopped; changes of its file and columns wait until it is resumed. Raises HeadraceError when Connect or
    the bus does not answer. Never removes a connector.
    """
    sources = [s for s in project.sources if s.mode == "cdc"]
    if not sources:
        return []
    trouble: dict[str, tuple[str, list[str]]] = {}
    with _alone(project), _client(project) as client:
        decided = controls.read(project)
        pauses = Pauses.of(decided)
        for source in sources:
            try:
                if pauses.source(source.name):
                    trouble[source.name] = ("", [])
                    _stop(client, source)
                else:
                    trouble[source.name] = ("", _ensure(project, source, client, decided))
            except HeadraceError as error:
                trouble[source.name] = (str(error), [])
    found = states(project)
    for state in found:
        error, warnings = trouble[state["source"]]
        state["refused"], state["error"] = error, error or state["error"]
        state["warnings"] = warnings
        if pauses.source(state["source"]):
            state["state"] = PAUSED
        elif state["state"] == "MISSING":  # Connect tells a connector's state a moment after it took its configuration
            state["state"] = "REFUSED" if error else "STARTING"
    return found


def states(project: Project) -> list[State]:
    """{"source", "state", "tasks", "error", "epoch"} of each CDC source's connector.

    `state` is FAILED when a task is, MISSING when there is no connector. Raises HeadraceError when Connect is away.
    """
    with _client(project) as client:
        known = _call(client, "GET", "/connectors", params={"expand": ["status", "info"]})
    found = []
    for source in project.sources:
        if source.mode == "cdc":
            one = known.get(source.name, {})
            config = one.get("info", {}).get("config", {})
            found.append(_state(source, one.get("status")) | {"epoch": int(config.get(debezium.EPOCH, 0))})
    return found


def astray(found: list[State], decided: Records) -> list[str]:
    """The sources, among these states, whose connector does not do what it should: `ensure` sets them right."""
    wrong, pauses = [], Pauses.of(decided)
    for state in found:
        stopped, held = state["state"] == "STOPPED", bool(pauses.source(state["source"]))
        behind = state["epoch"] < decided.get((epochs.ASKED, state["source"]), {}).get("epoch", 0) and not held
        if state["state"] == "FAILED" or (state["state"] != "MISSING" and (stopped != held or behind)):
            wrong.append(str(state["source"]))
    return wrong


def outdated(project: Project, found: list[State], decided: Records) -> dict[str, tuple[str, ...]]:
    """Source → its tables' columns, as table.column, whose values in older rows only a new snapshot brings
    (CORRECTNESS 3), where none is asked for yet; `ensure` asks for it. A paused source gets it when it is resumed."""
    pauses, columns = Pauses.of(decided), {}
    for state in found:
        source = project.source(state["source"])
        if state["state"] != "MISSING" and not pauses.source(source.name):
            columns[source.name] = _untold(project, source, max(state["epoch"], epochs.wanted(decided, source)))
    return {name: told for name, told in columns.items() if told}


def hold(project: Project, source: Source) -> None:
    """Stops a source's connector and returns when it has left the database; what it has read stays on the bus.

    Its position and the database's log are kept. Raises HeadraceError when Connect does not answer; then the pulse
    stops it later.
    """
    with _client(project) as client:
        _stop(client, source)


def restart(project: Project, source: Source) -> None:
    """Starts a source's connector and its failed tasks again."""
    with _client(project) as client:
        _call(
            client, "POST", f"/connectors/{source.name}/restart", params={"includeTasks": "true", "onlyFailed": "true"}
        )


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """One `ensure` of a project at a time, on this machine: two of them would begin a source anew twice."""
    folder = project.state / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "connectors.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _ensure(project: Project, source: Source, client: httpx.Client, decided: Records) -> list[str]:
    known = _call(client, "GET", f"/connectors/{source.name}/config", missing=None)
    warnings = database.prepare(project, source)
    epoch, asked = int(known[debezium.EPOCH]) if known else 0, epochs.begun(decided, source)
    wanted = debezium.config(project, source, epoch)
    if known is None or asked > epoch or _tables(wanted) - _tables(known) or _untold(project, source, epoch):
        epoch = asked if asked > epoch else epochs.begin(project, source, max(epoch, epochs.wanted(decided, source)))
        wanted = debezium.config(project, source, epoch)
        with suppress(HeadraceError):  # where it can't be written, a warning was given
            database.mark(project, source, "")  # so that the snapshot has a row of the marker table
        if known:
            _forget(project, source, client)
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


def _stop(client: httpx.Client, source: Source) -> None:
    """Stops the connector, if there is one, and waits until its task has left the database. It keeps its position.

    Stopped and not paused, in the words of Connect: a paused task keeps its connection, and reads on into memory.
    """
    path = f"/connectors/{source.name}"
    status = _call(client, "GET", f"{path}/status", missing=None)
    deadline = time.monotonic() + _PATIENCE
    while status and (status["connector"]["state"] != "STOPPED" or status["tasks"]):
        if time.monotonic() > deadline:
            hint = "headrace logs connect"
            raise HeadraceError(f"the connector of source {source.name!r} does not stop", place=source.place, hint=hint)
        if status["connector"]["state"] != "STOPPED":
            _call(client, "PUT", f"{path}/stop")
        time.sleep(0.2)
        status = _call(client, "GET", f"{path}/status", missing=None)


def _forget(project: Project, source: Source, client: httpx.Client) -> None:
    """Stops the connector and drops its position, so that it begins with a snapshot of all its tables.

    The slot goes, too: only the snapshot that a new slot exports fits exactly to the beginning of its stream. Until the
    configuration has its new epoch all of this is done again, so that a kill in between leaves nothing half done.
    """
    _stop(client, source)
    database.drop_slot(project, source)
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
        hint = "copy .jars/connect/headrace into plugin.path of its workers" if debezium.REPEATS in said else ""
        raise HeadraceError(f"Kafka Connect refuses {method} {path}: {said.strip()}", place=place, hint=hint)
    return answer.json() if answer.content else None
