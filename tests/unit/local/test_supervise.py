"""Supervisor's configuration, its socket, and the secrets of the embedded servers."""

from __future__ import annotations

import configparser
import dataclasses
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil

from headrace.local import secrets, supervise
from headrace.local.server import Server, nothing
from headrace.project.settings import read_secrets


def a_server(**changes) -> Server:
    server = Server(
        name="x", part="x", command=("printenv", "TOKEN"), ready=nothing, environment={"TOKEN": "it's 50% $off"}
    )
    return dataclasses.replace(server, **changes)


def test_a_long_path_gets_a_short_socket(local_project, tmp_path):
    project = local_project()
    assert len(str(supervise.socket_path(project))) <= 107
    deep = dataclasses.replace(project, root=tmp_path / ("long" * 40))
    path = supervise.socket_path(deep)
    assert len(str(path)) <= 107
    assert path != supervise.socket_path(dataclasses.replace(project, root=tmp_path / ("LONG" * 40)))


def test_supervisor_reads_what_we_write(local_project):
    project = local_project()
    text = supervise._configuration(project, [a_server()])
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    program = dict(parser["program:x"])
    assert program["autorestart"] == "true"
    assert program["killasgroup"] == "true"


def test_the_start_script_carries_secrets_exactly_and_is_private(local_project):
    project = local_project()
    supervise._configuration(project, [a_server()])
    script = supervise.script(project, a_server())
    assert stat.S_IMODE(script.stat().st_mode) == 0o600
    assert subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True).stdout == "it's 50% $off\n"


def test_a_changed_file_changes_the_configuration(local_project):
    """So `up` restarts a server whose settings are new, and no other."""
    project = local_project()
    path = project.state / "run" / "x.conf"
    before = supervise._configuration(project, [a_server(files={path: "a"})])
    assert supervise._configuration(project, [a_server(files={path: "a"})]) == before
    assert supervise._configuration(project, [a_server(files={path: "b"})]) != before


def test_a_hurried_server_gives_way_after_a_while_and_again_after_a_crash(local_project, until):
    project = local_project()
    threads = "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); time.sleep(60)"
    server = a_server(command=(sys.executable, "-c", threads), nice=7, hurried=5)
    supervise.ensure(project, [server])
    try:
        supervise.start(project, "x")
        pid = until(lambda: priorities(running(project)) == [0, 0] and running(project), 30, "two threads, high")
        until(lambda: priorities(running(project)) == [7, 7], 30, "low")
        os.kill(pid, signal.SIGKILL)
        until(lambda: running(project) not in (0, pid) and priorities(running(project)) == [0, 0], 30, "back, high")
        until(lambda: priorities(running(project)) == [7, 7], 30, "low again")
    finally:
        supervise.shutdown(project)


def test_a_killed_servers_child_is_ended_though_its_environment_is_gone(local_project, until, tmp_path):
    """As Airflow's children do: they write their title over it."""
    project = local_project()
    child = f"{sys.executable} -c 'import time; time.sleep(60)'"
    command = f"env -i {child} & echo $! > {tmp_path}/child; wait"
    server = a_server(command=("sh", "-c", command))
    supervise.ensure(project, [server])
    try:
        supervise.start(project, "x")
        pid = int(until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text(), 30, "a child"))
        os.kill(running(project), signal.SIGKILL)
    finally:
        supervise.shutdown(project)
    assert ended(pid)


def ended(pid: int) -> bool:
    """It is gone, or only its entry is left because whoever inherited it has not yet asked how it ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def running(project) -> int:
    return supervise.states(project)["x"]["pid"]


def priorities(pid: int) -> list[int]:
    """The nice value of each thread."""
    return [os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]


def test_secrets_are_drawn_once_and_private(local_project):
    project = local_project()
    path = project.state / "secrets.env"
    first = read_secrets(path)
    assert {*secrets.FIXED, "SHOP_PASSWORD", "TILL_PASSWORD"} == set(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets.ensure(project)
    assert read_secrets(path) == first
    path.write_text("".join(f"{k}={v}\n" for k, v in first.items() if k != "TILL_PASSWORD"))
    secrets.ensure(project)
    assert {k: v for k, v in read_secrets(path).items() if k != "TILL_PASSWORD"} == {
        k: v for k, v in first.items() if k != "TILL_PASSWORD"
    }
    assert not list(project.state.glob("*.part"))
