"""What `up` does beside starting servers: schema, topics, connectors and stream jobs, by the rooms that own them."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import time
from contextlib import nullcontext

from headrace.errors import HeadraceError
from headrace.local.graph import Step
from headrace.local.progress import say, step
from headrace.local.server import Server
from headrace.project import Job, Project

FLINK = ("flink-zookeeper", "flink-jobmanager", "flink-taskmanager", "flink-gateway")
_AT_ONCE = threading.Semaphore(2)  # SQL stream jobs that start at the same time: Flink mostly waits for itself
ARRIVAL_SECONDS = 60.0  # how long `up` looks for the first landed rows; there may be none to land
SNAPSHOT_SECONDS = 20.0  # how long after those it waits for all inputs of one view


def before(project: Project, server: Server) -> tuple[str, ...]:
    """The set-up steps that must be through before a server starts."""
    if server.kept:  # its traffic would only slow the start of the others
        return tuple(_stream_step(job) for job in project.jobs if job.kind == "stream")
    if any(server.name == f"source-{s.name}" and s.mode != "cdc" for s in project.sources):
        return ("connectors",)  # nothing is captured from it, so what lands and alerts goes first
    return {
        "landing": ("topics",),
        "pulse": ("topics", "schema"),
        "airflow-api": ("schema",),
        # It would run every view at once, while somebody waits for the first.
        "airflow-scheduler": ("first view",),
    }.get(server.name if server.part == "airflow" else server.part, ())


def steps(project: Project, servers: list[Server], prepare: str = "") -> list[Step]:
    """The set-up steps that these servers make possible. Parts with an address of their own count as there.

    `prepare` is a command that runs when the databases and the topics are there and before connectors take their
    snapshots: it may make tables and history. Databases that are only pulled start later; for them it runs once more.
    HEADRACE_SOURCES has the names of the sources that it runs for.
    """
    names, settings = {s.name for s in servers}, project.settings
    bus = "bus" in names or bool(settings.bus)
    connect = "connect" in names or bool(settings.connect)
    serving = "postgres" in names or bool(settings.serving)
    # A database without a connector is not waited for by those that have one.
    captured, pulled = (
        tuple(name for s in project.sources if (s.mode == "cdc") == cdc and (name := f"source-{s.name}") in names)
        for cdc in (True, False)
    )
    jobs = [job for job in project.jobs if job.kind == "stream"]
    found = []
    if serving:
        found.append(Step("schema", lambda: _schema(project), ("postgres",)))
    if bus:
        found.append(Step("topics", lambda: _topics(project), ("bus",)))
    if prepare:
        first = captured or pulled
        found.append(Step("prepare", lambda: _prepare(project, prepare, first), ("topics", *first)))
        if captured and pulled:
            again = ("prepare", *pulled)
            found.append(Step("prepare pulled sources", lambda: _prepare(project, prepare, pulled), again))
    if connect and bus and any(s.mode == "cdc" for s in project.sources):
        found.append(Step("connectors", lambda: _connectors(project), ("prepare", "topics", "connect", *captured)))
    if "landing" in names and project.tables:
        found.append(Step("first rows", lambda: _first_rows(project), ("connectors", "landing")))
    if {"spark", "landing"} <= names and serving and any(job.kind == "batch" for job in project.jobs):
        found.append(Step("first view", lambda: _first_view(project), ("first rows", "schema", "spark")))
    if (set(FLINK) <= names or settings.flink) and bus and serving and jobs:
        for job in jobs:
            found.append(Step(_stream_step(job), lambda j=job: _job(project, j), ("schema", "topics", *FLINK)))
    return found


def stop_jobs(project: Project) -> None:
    """Stops every stream job with a savepoint; one that can't be stopped so is named, and its last checkpoint stays."""
    from headrace.stream import ensure

    for job in [job for job in project.jobs if job.kind == "stream"]:
        with _reported(f"stream job {job.name} could not be stopped with a savepoint"):
            with step(f"stream job {job.name} stopped with a savepoint"):
                ensure.stop(project, job)


def _schema(project: Project) -> None:
    from headrace.serve import schema

    with step("serving schema is there"):
        schema.ensure(project)


def _topics(project: Project) -> None:
    from headrace.ingest import topics

    with step("topics are there"):
        topics.ensure(project)


def _prepare(project: Project, command: str, servers: tuple[str, ...]) -> None:
    names = " ".join(name.removeprefix("source-") for name in servers)
    with step(f"prepared: {command} ({names})" if names else f"prepared: {command}"):
        variables = os.environ | {"HEADRACE_SOURCES": names}
        done = subprocess.run(shlex.split(command), cwd=project.root, env=variables, check=False)
    if done.returncode:
        raise HeadraceError(f"the command before the connectors failed with {done.returncode}: {command}")


def _connectors(project: Project) -> None:
    from headrace.ingest import connectors

    with _reported("connectors"):
        with step("connectors are registered"):
            states = connectors.ensure(project)
        for state in states or []:
            if state.get("error"):
                say(f"  source {state['source']} does not flow:\n{state['error']}")


def _first_rows(project: Project) -> None:
    from headrace.lake import landing

    began = time.monotonic()
    while time.monotonic() < began + ARRIVAL_SECONDS:
        landed = [name for name in project.tables if any(landing.positions(project, name).values())]
        if landed:
            with step(f"first rows have landed: {', '.join(sorted(landed))}", began):
                return
        time.sleep(0.5)


def _first_view(project: Project) -> None:
    """Runs one view when none was ever published, so that there is one to see before Airflow has started.

    Takes the one of fewest inputs of which all have landed, and no live one, since its speed job takes longer to start;
    Airflow runs the others, and this one again.
    """
    from headrace.batch.run import positions, run
    from headrace.lake import landing

    jobs = sorted(
        (job for job in project.jobs if job.kind == "batch" and not job.live),
        key=lambda job: (len(job.inputs), job.name),
    )
    if any(positions(project, job.name) for job in jobs):
        return
    end = time.monotonic() + SNAPSHOT_SECONDS
    while time.monotonic() < end:
        landed = {name for name in project.tables if any(landing.positions(project, name).values())}
        if not landed:
            return  # "first rows" has waited long enough
        job = next((job for job in jobs if job.inputs and {i.table for i in job.inputs} <= landed), None)
        if job:
            with _reported(f"view {job.name} could not be computed"), step(f"first view is there: {job.name}"):
                run(project, job)
            return
        time.sleep(0.5)


def _stream_step(job: Job) -> str:
    return f"stream job {job.name}"


def _job(project: Project, job: Job) -> None:
    from headrace.stream import ensure

    # A Python job has a client JVM of its own to start, which takes longest: it doesn't queue.
    with nullcontext() if job.language == "py" else _AT_ONCE, _reported(f"stream job {job.name} does not run"):
        with step(f"stream job {job.name} runs"):
            ensure.ensure(project, job)


class _reported:
    """Reports an error of the block instead of raising it: the other jobs and sources must go on."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, HeadraceError):
            say("\n".join([f"  {self.what}:", *(problem.render() for problem in error.problems)]))
        elif isinstance(error, Exception):
            say(f"  {self.what}: {type(error).__name__}: {error}")
        return isinstance(error, Exception)
