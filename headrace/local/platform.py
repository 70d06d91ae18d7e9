"""Up, down and status of the embedded platform."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from headrace.errors import HeadraceError, Problem
from headrace.lake import store
from headrace.local import archive, graph, install, ports, provision, secrets, supervise
from headrace.local.progress import say, step
from headrace.local.server import Server
from headrace.local.servers import chosen, kept, servers
from headrace.project import Project

TELL = 30.0  # seconds between two lines about a server that does not answer yet


def up(project: Project, only: set[str] | None = None, prepare: str = "", keep: dict[str, str] | None = None) -> None:
    """Starts what isn't running, in parallel as far as needs allow, and brings topics, connectors and jobs in place.

    `only` names parts (`bus`, `source`, `source:orders` …); None is all. `prepare` is a command to run before
    connectors start, `keep` has commands to run beside the platform. Idempotent. A job or connector that fails is
    reported and stops nothing. Raises HeadraceError in the end when a server or a step of the set-up failed.
    """
    install.require()
    kinds = {s.kind for s in project.sources if s.local and (not only or {"source", f"source:{s.name}"} & only)}
    install.seldom(kinds | ({"s3"} if store.kind(project) in store.S3 else set()))
    store.check(project)
    secrets.ensure(project)
    kept.keep(project, keep or {})
    wanted = chosen(project, only | set(keep or {}) if only else None)
    with _alone(project):
        known = servers(project)
        restart = supervise.ensure(project, known)  # names of running servers whose configuration changed
        names = {s.name for s in wanted} | set(restart)
        wanted = [s for s in known if s.name in names]
        states = supervise.states(project)
        ports.check([s for s in wanted if states[s.name]["statename"] not in supervise.RUNNING])
        steps = [
            graph.Step(s.name, lambda s=s: _start(project, s), (*s.needs, *provision.before(project, s)))
            for s in wanted
        ]
        outcomes = graph.run(steps + provision.steps(project, wanted, prepare))
    problems = []
    for name, outcome in outcomes.items():
        if outcome.held_up:
            problems.append(Problem(f"{name} was not started: it needs {outcome.held_up}"))
        elif isinstance(outcome.error, HeadraceError):
            problems += outcome.error.problems
        elif outcome.error:
            problems.append(Problem(f"{name}: {outcome.error!r}"))
    if problems:
        raise HeadraceError(*problems)


def down(project: Project, only: set[str] | None = None) -> None:
    """Stops stream jobs with a savepoint, then exactly the servers of this project; returns when they are gone.

    With `only`, stops just these parts and leaves jobs alone.
    """
    if not supervise.alive(project):
        supervise.shutdown(project)  # ends what a killed supervisor may have left
        return
    if only:
        for server in chosen(project, only):
            with step(f"{server.name} is stopped"):
                supervise.stop(project, server.name)
        return
    with _alone(project):
        running = {name for name, info in supervise.states(project).items() if info["statename"] in supervise.RUNNING}
        known = [s for s in servers(project) if s.name in running]
        # First whoever writes to the sources or would start a stopped job again, then the jobs, then all the rest.
        early = [s for s in known if s.part in {"pulse", "airflow"} or s.kept]
        _stop(project, early)
        if set(provision.FLINK) <= running and "postgres" in running:
            provision.stop_jobs(project)
        with step("all servers are stopped"):
            _stop(project, [s for s in known if s not in early])
            supervise.shutdown(project)
        kept.forget(project)


def status(project: Project) -> list[dict[str, object]]:
    """One row per server: its name, state (running, starting, stopping, stopped, failed, external), pid, uptime in
    seconds, memory in megabytes, and address.
    """
    states = supervise.states(project)
    rows: list[dict[str, object]] = []
    for server in servers(project):
        info = states.get(server.name, {})
        pid = info.get("pid") or None
        rows.append(
            {
                "server": server.name,
                "state": _STATES.get(info.get("statename", "STOPPED"), "stopped"),
                "pid": pid,
                "uptime": int(info["now"] - info["start"]) if pid else None,
                "memory": memory(pid) if pid else None,
                "address": server.address,
            }
        )
    settings = project.settings
    for name, address in (
        ("bus", settings.bus),
        ("connect", settings.connect),
        ("spark", settings.spark),
        ("serving", settings.serving),
    ):
        if address:
            rows.append(
                {"server": name, "state": "external", "pid": None, "uptime": None, "memory": None, "address": address}
            )
    if settings.flink:
        rows.append(
            {
                "server": "flink",
                "state": "external",
                "pid": None,
                "uptime": None,
                "memory": None,
                "address": settings.flink.rest,
            }
        )
    return rows


_STATES = {
    "RUNNING": "running",
    "STARTING": "starting",
    "BACKOFF": "starting",
    "STOPPING": "stopping",
    "FATAL": "failed",
    "EXITED": "failed",
}


def memory(pid: int) -> int:
    """Megabytes of a process and its children, shared pages counted once (PSS)."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    except psutil.Error:
        return 0
    return total // 1_000_000


def _stop(project: Project, stopping: list[Server]) -> None:
    """Stops servers side by side, but after those that need them: a good-bye to the bus saves time at the start."""

    def users(server: Server) -> tuple[str, ...]:
        by_need = [s.name for s in stopping if server.name in s.needs]
        return tuple(by_need + (["connect"] if server.name.startswith("source-") else []))

    def stop(server: Server) -> None:
        supervise.stop(project, server.name)
        if server.archive:
            status = supervise.states(project)[server.name]["exitstatus"]
            archive.take(server.archive, supervise.made_archive(project, server), status)

    graph.run([graph.Step(s.name, lambda s=s: stop(s), users(s)) for s in stopping])


def _start(project: Project, server: Server) -> None:
    """Starts one server and returns when it answers; raises HeadraceError with the end of its log when it doesn't."""
    ran = supervise.states(project)[server.name]["statename"] == "RUNNING"
    if ran:
        _wait(project, server)
        server.provision()
        return
    with step(f"{server.name} is up{f' at {server.address}' if server.address else ''}"):
        server.prepare()
        supervise.start(project, server.name)
        _wait(project, server)
        server.provision()


def _wait(project: Project, server: Server) -> None:
    until, pause, error, told = time.monotonic() + server.patience, 0.1, "no answer", time.monotonic()
    while True:
        info = supervise.states(project)[server.name]
        if info["statename"] in {"RUNNING", "STARTING"}:
            try:
                server.ready()
                _ours(server, info["pid"])
                return
            except Exception as problem:
                error = _reason(problem)
        if info["statename"] in {"FATAL", "EXITED", "STOPPED"} or time.monotonic() > until:
            why = (
                "ends as soon as it starts"
                if info["statename"] in {"FATAL", "BACKOFF", "EXITED"}
                else f"does not answer after {server.patience:.0f} s ({error})"
            )
            hint = f"headrace logs {server.name}   ends with:\n{supervise.tail(project, server.name)}"
            raise HeadraceError(f"{server.name} {why}", hint=hint)
        if time.monotonic() > told + TELL:
            told = time.monotonic()
            say(f"        still waiting for {server.name}: {error}")
        time.sleep(pause)
        pause = min(pause * 1.3, 1.0)


def _reason(problem: Exception) -> str:
    """An engine's exception in one line; gRPC keeps it in `details`."""
    details = getattr(problem, "details", None)
    lines = str(details() if callable(details) else problem).strip().splitlines()
    if lines and "refused" in lines[0].lower():
        return "nothing listens on its port"
    return lines[0][:200] if lines else type(problem).__name__


def _ours(server: Server, pid: int) -> None:
    """Raises while a port is not held by the server's own process or a child of it."""
    family = {pid, *(p.pid for p in psutil.Process(pid).children(recursive=True))}
    for name, port in server.ports.items():
        holder = ports.owner(port)
        if holder is not None and holder not in family:
            raise HeadraceError(f"port {port} ({name}) is held by {ports.holder(port)}, not by {server.name}")


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """One `up` or `down` of a project at a time; a second one waits for the first."""
    folder = project.state / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another headrace up or down of this project is at work: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        os.set_inheritable(file.fileno(), False)
        yield
