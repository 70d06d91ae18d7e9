"""What `up` does beside starting servers: schema, topics, connectors and stream jobs, by the rooms that own them."""

from __future__ import annotations

from headrace.errors import HeadraceError
from headrace.local.graph import Step
from headrace.local.progress import say, step
from headrace.local.server import Server
from headrace.project import Project


def before(server: Server) -> tuple[str, ...]:
    """The set-up steps that must be through before a server starts."""
    return {"landing": ("topics",), "pulse": ("topics", "schema"), "airflow-api": ("schema",)}.get(server.name, ())


def steps(project: Project, servers: list[Server]) -> list[Step]:
    """The set-up steps that these servers make possible. Parts with an address of their own count as there."""
    names, settings = {s.name for s in servers}, project.settings
    bus = "bus" in names or bool(settings.bus)
    connect = "connect" in names or bool(settings.connect)
    serving = "postgres" in names or bool(settings.serving)
    flink = {"flink-jobmanager", "flink-taskmanager", "flink-gateway"}
    found = []
    if serving:
        found.append(Step("schema", lambda: _schema(project), ("postgres",)))
    if bus:
        found.append(Step("topics", lambda: _topics(project), ("bus",)))
    if connect and bus and any(s.mode == "cdc" for s in project.sources):
        sources = tuple(name for name in names if name.startswith("source-"))
        found.append(Step("connectors", lambda: _connectors(project), ("topics", "connect", *sources)))
    if (flink <= names or settings.flink) and bus and serving and _streams(project):
        found.append(Step("stream jobs", lambda: _jobs(project), ("schema", "topics", *flink)))
    return found


def stop_jobs(project: Project) -> None:
    """Stops every stream job with a savepoint; one that can't be stopped so is named, and its last checkpoint stays."""
    if not (ensure := _room("stream.ensure")):
        return
    for job in _streams(project):
        try:
            with step(f"stream job {job.name} stopped with a savepoint"):
                ensure.stop(project, job)
        except Exception as error:  # noqa: BLE001 - the others are stopped all the same
            _report(f"stream job {job.name} could not be stopped with a savepoint", error)


def _streams(project: Project) -> list:  # type: ignore[type-arg]
    return [job for job in project.jobs if job.kind == "stream"]


def _schema(project: Project) -> None:
    if not (schema := _room("serve.schema")):
        return
    with step("serving schema"):
        schema.ensure(project)


def _topics(project: Project) -> None:
    if not (topics := _room("ingest.topics")):
        return
    with step("topics"):
        topics.ensure(project)


def _connectors(project: Project) -> None:
    if not (connectors := _room("ingest.connectors")):
        return
    try:
        with step("connectors"):
            states = connectors.ensure(project)
    except HeadraceError as error:
        _report("connectors", error)
        return
    for state in states or []:
        if state.get("error"):
            say(f"  source {state['source']}: {state['error']}\n  hint: headrace logs connect")


def _jobs(project: Project) -> None:
    if not (ensure := _room("stream.ensure")):
        return
    for job in _streams(project):
        try:
            with step(f"stream job {job.name}"):
                ensure.ensure(project, job)
        except Exception as error:  # noqa: BLE001 - a job that can't run must not keep the others from it
            _report(f"stream job {job.name} does not run", error)


def _report(what: str, error: Exception) -> None:
    if isinstance(error, HeadraceError):
        say("\n".join([f"  {what}:", *(problem.render() for problem in error.problems)]))
    else:
        say(f"  {what}: {type(error).__name__}: {error}")


def _room(name: str):  # noqa: ANN202 - a module, or None while that room is being built
    from importlib import import_module

    try:
        return import_module(f"headrace.{name}")
    except ImportError as error:
        say(f"  {name} is not there yet: {error}")
        return None
