"""Supervisor: one process that starts, restarts and stops every server of a project, and outlives `headrace up`."""

from __future__ import annotations

import hashlib
import http.client
import os
import shlex
import subprocess
import tempfile
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from headrace.errors import HeadraceError
from headrace.local import archive
from headrace.local.install import environment
from headrace.local.secrets import write_private
from headrace.local.server import TOKEN, Server
from headrace.project import Project

_LONGEST_SOCKET = 90  # the system allows 107 characters; supervisor first makes a longer name beside it
# A caller's settings for its own tools must not change our servers.
_FOREIGN = (
    "AIRFLOW",
    "FLINK_",
    "HADOOP_",
    "KAFKA_",
    "PYSPARK_",
    "PYTHON",
    "SPARK_",
    "VIRTUAL_ENV",
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
)
_OURS = {"HADOOP_CONF_DIR", "HADOOP_USER_NAME"}  # but these say where a lake on HDFS is, and who writes it
RUNNING = {"RUNNING", "STARTING", "BACKOFF"}


def socket_path(project: Project) -> Path:
    """Supervisor's socket: in the project's state folder, or in a private short folder where that path is too long."""
    path = project.state / "run" / "supervisor.sock"
    if len(str(path)) <= _LONGEST_SOCKET:
        return path
    short = hashlib.sha256(str(project.root).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"headrace-{os.getuid()}-{short}" / "supervisor.sock"


def call(project: Project) -> Any:
    """Supervisor's functions. Not for sharing between threads: each takes its own."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path(project)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport, allow_none=True).supervisor


def alive(project: Project) -> bool:
    """Whether this project's supervisor answers."""
    try:
        call(project).getSupervisorVersion()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return False
    return True


def states(project: Project) -> dict[str, dict[str, Any]]:
    """Supervisor's record of each server it knows (statename, pid, start, spawnerr …); empty when it doesn't run."""
    return {info["name"]: info for info in call(project).getAllProcessInfo()} if alive(project) else {}


def ensure(project: Project, servers: list[Server]) -> set[str]:
    """Makes supervisor run and know these servers as they are now. Starts none.

    Returns the servers that ran with an older configuration and were stopped for that.
    """
    for folder in ("run", "logs", "data"):
        (project.state / folder).mkdir(parents=True, exist_ok=True)
    project.state.chmod(0o700)
    write_private(project.state / "run" / "supervisord.conf", _configuration(project, servers))
    if not alive(project):
        _end_orphans(project)
        _start(project)
        return set()
    ran = {name for name, info in states(project).items() if info["statename"] in RUNNING}
    supervisor = call(project)
    added, changed, removed = supervisor.reloadConfig()[0]
    for name in (*changed, *removed):
        supervisor.stopProcessGroup(name)
        supervisor.removeProcessGroup(name)
    for name in (*added, *changed):
        supervisor.addProcessGroup(name)
    return ran & set(changed)


def start(project: Project, name: str) -> None:
    """Starts one server unless it runs; returns at once."""
    try:
        call(project).startProcess(name, False)
    except xmlrpc.client.Fault as fault:
        if "ALREADY_STARTED" not in fault.faultString:
            raise HeadraceError(f"supervisor can't start {name}: {fault.faultString}") from None


def stop(project: Project, name: str) -> None:
    """Stops one server and returns when it is gone."""
    try:
        call(project).stopProcess(name, True)
    except xmlrpc.client.Fault as fault:
        if "NOT_RUNNING" not in fault.faultString and "BAD_NAME" not in fault.faultString:
            raise HeadraceError(f"supervisor can't stop {name}: {fault.faultString}") from None


def shutdown(project: Project) -> None:
    """Ends supervisor and with it whatever still runs; returns when the process is gone."""
    if alive(project):
        pid = call(project).getPID()
        call(project).shutdown()
        try:
            psutil.Process(pid).wait(timeout=90)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:  # a server that doesn't end on a busy machine: it is ended with the orphans
            psutil.Process(pid).kill()
    _end_orphans(project)


def log(project: Project, name: str) -> Path:
    """The file with everything a server prints."""
    return project.state / "logs" / f"{name}.log"


def tail(project: Project, name: str, lines: int = 12) -> str:
    """The last lines of a server's log."""
    path = log(project, name)
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def script(project: Project, server: Server) -> Path:
    """The shell script that starts the server; a person can run it by hand. Holds secrets: for the owner only."""
    return project.state / "run" / f"{server.name}.sh"


def _start(project: Project) -> None:
    path = socket_path(project)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.parent.stat().st_uid != os.getuid():
        raise HeadraceError(
            f"{path.parent} belongs to another user", hint="remove it, or use a project folder with a shorter path"
        )
    path.unlink(missing_ok=True)
    command = [
        str(environment("platform") / "bin" / "supervisord"),
        "-n",
        "-c",
        str(project.state / "run" / "supervisord.conf"),
    ]
    variables = {k: v for k, v in os.environ.items() if k in _OURS or not k.startswith(_FOREIGN)}
    variables |= {"TZ": "UTC", "LC_ALL": "C.UTF-8", "HEADRACE_STATE": str(project.state)}
    variables["no_proxy"] = variables["NO_PROXY"] = ",".join(
        filter(None, [os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")), "127.0.0.1,localhost"])
    )
    with (project.state / "logs" / "supervisord.out").open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=variables,
            cwd=project.state,
        )
    until = time.monotonic() + 15
    while not alive(project):
        if process.poll() is not None or time.monotonic() > until:
            said = (project.state / "logs" / "supervisord.out").read_text(errors="replace").strip()[-600:]
            raise HeadraceError("supervisor does not start", hint=said or f"see {project.state}/logs/supervisord.log")
        time.sleep(0.05)
    _session(project).write_text(str(process.pid))


def _session(project: Project) -> Path:
    """Holds the id of the last supervisor's session, in which all servers and their children are."""
    return project.state / "run" / "session"


def _end_orphans(project: Project) -> None:
    """Ends what a killed supervisor or server left: processes that carry this project's state folder in their
    environment. Airflow's write a title over theirs; those are known by their session.
    """
    found, mine = [], {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    session = int(_session(project).read_text()) if _session(project).exists() else 0
    for process in psutil.process_iter():
        try:
            state = process.environ().get("HEADRACE_STATE", "")
            ours = state == str(project.state) or bool(not state and session and os.getsid(process.pid) == session)
            if ours and process.pid not in mine:
                found.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    _session(project).unlink(missing_ok=True)
    for process in found:
        _signal(process, "terminate")
    _, left = psutil.wait_procs(found, timeout=20)
    for process in left:
        _signal(process, "kill")
    psutil.wait_procs(left, timeout=5)


def _signal(process: psutil.Process, how: str) -> None:
    try:
        getattr(process, how)()
    except psutil.NoSuchProcess:
        pass


def _configuration(project: Project, servers: list[Server]) -> str:
    run, logs = project.state / "run", project.state / "logs"
    text = [
        "[unix_http_server]",
        f"file={socket_path(project)}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={logs}/supervisord.log",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        f"pidfile={run}/supervisord.pid",
        f"childlogdir={logs}",
        "silent=true",
        *([f"user={os.getuid()}"] if os.getuid() == 0 else []),
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for server in servers:
        text += _program(project, server)
    # Supervisor reads %(name)s as a variable; ours are all written out.
    return "\n".join(line.replace("%", "%%") for line in text) + "\n"


def _program(project: Project, server: Server) -> list[str]:
    for path, content in server.files.items():
        write_private(path, content)
    starter = _script(project, server)
    write_private(script(project, server), starter)
    made_from = hashlib.sha256((starter + "".join(server.files.values())).encode()).hexdigest()[:12]
    return [
        f"[program:{server.name}]",
        f'command=/bin/sh "{script(project, server)}"',
        f'environment=HEADRACE_SERVER="{server.name}",HEADRACE_MADE_FROM="{made_from}"',
        "autostart=false",
        "autorestart=true",
        # It counts as started after two seconds; what can't start at all is tried again a little later each time.
        "startsecs=2",
        "startretries=15",
        f"stopsignal={server.stop_signal}",
        f"stopwaitsecs={server.stop_patience}",
        f"stopasgroup={str(server.stop_group).lower()}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={log(project, server.name)}",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=2",
    ]


def made_archive(project: Project, server: Server) -> Path:
    """Where a server's JVM writes its class archive while it ends."""
    return project.state / "run" / f"{server.name}.jsa"


def _word(word: str) -> str:
    """A word for the shell, with the JVM's archive option in the place of its token."""
    if TOKEN not in word:
        return shlex.quote(word)
    escaped = "".join(f"\\{c}" if c in '"\\$`' else c for c in word)
    return '"' + escaped.replace(TOKEN, "$class_archive") + '"'


def _script(project: Project, server: Server) -> str:
    lines = ["#!/bin/sh", "set -e"]
    if server.archive:
        lines += archive.shell(server.archive, made_archive(project, server))
    lines += [f"export {name}={_word(value)}" for name, value in sorted(server.environment.items())]
    if server.folder:
        lines += [f"mkdir -p {shlex.quote(str(server.folder))}", f"cd {shlex.quote(str(server.folder))}"]
    command = " ".join(map(_word, server.command))
    if server.nice and server.hurried:  # supervisor gives each server a process group of its own
        later = f"sleep {server.hurried:g}; exec renice -n {server.nice} -g $$"
        lines.append(f"(({later}) >/dev/null 2>&1 &)")
    elif server.nice:
        command = f"nice -n {server.nice} {command}"
    return "\n".join([*lines, f"exec {command}"]) + "\n"
