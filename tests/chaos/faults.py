"""The faults, each done to a running server and taken back: `strike` returns when it is over.

* kill: SIGKILL, as a crash. pause: SIGSTOP of the server and its children, as a machine that hangs.
* slow: it runs a tenth of the time, as on a disk or a processor that is all others'.
* full disk: every write to a file that would grow past a few bytes fails (RLIMIT_FSIZE), as on a disk without space.
* cut: its connections are ended again and again, as by a network that goes away. (A network name space of its own for
  each server would drop packets instead; all servers share one loopback here.)
* clock: the clock that a landing worker reads jumps an hour, forth and back.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import psutil

from headrace.local import debian, platform, supervise
from headrace.local.install import environment
from headrace.local.servers import servers
from headrace.project import Project
from tests.chaos.cells import Cell

SECONDS = 12.0  # that a fault lasts which is not a kill
TURN = 0.5  # seconds of a turn of `slow`
ENOUGH = 4096  # bytes to which a file may grow while the disk is full


def strike(project: Project, cell: Cell) -> None:
    """Does the cell's fault to its component."""
    FAULTS[cell.fault](project, cell.component)


def _family(project: Project, server: str) -> list[psutil.Process]:
    pid = supervise.states(project)[server]["pid"]
    if not pid or not psutil.pid_exists(pid):
        return []
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _signal(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def _kill(project: Project, server: str) -> None:
    _signal(_family(project, server), signal.SIGKILL)


def _pause(project: Project, server: str) -> None:
    family = _family(project, server)
    _signal(family, signal.SIGSTOP)
    try:
        time.sleep(SECONDS)
    finally:
        _signal(family, signal.SIGCONT)


def _slow(project: Project, server: str) -> None:
    family, end = _family(project, server), time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            _signal(family, signal.SIGSTOP)
            time.sleep(TURN * 0.9)
            _signal(family, signal.SIGCONT)
            time.sleep(TURN * 0.1)
    finally:
        _signal(family, signal.SIGCONT)


def _full(project: Project, server: str) -> None:
    family = _family(project, server)
    try:
        _limit(family, ENOUGH)
        time.sleep(SECONDS)
    finally:
        _limit(family, psutil.RLIM_INFINITY)


def _limit(family: list[psutil.Process], most: int) -> None:
    for process in family:
        try:
            process.rlimit(psutil.RLIMIT_FSIZE, (most, psutil.RLIM_INFINITY))
        except psutil.Error:
            continue


def _cut(project: Project, server: str) -> None:
    ports = next(s for s in servers(project) if s.name == server).ports.values()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for port in ports:
            subprocess.run(["ss", "-K", "state", "established", f"sport = :{port}"], capture_output=True, check=False)
        time.sleep(TURN)


def _clock(project: Project, server: str) -> None:
    library = next(debian.unpacked("libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1"))
    clock = project.state / "run" / "clock"
    clock.write_text("+0")
    said = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    said |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "HEADRACE_PROJECT": str(project.root)}
    command = [str(environment("platform") / "bin" / "headrace"), "-C", str(project.root), "work", server]
    platform.down(project, {server})
    worker = subprocess.Popen(command, env=os.environ | said, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for shift in ("+0", "+3600", "-3600", "+0"):
            clock.write_text(shift)
            time.sleep(SECONDS / 3)
        assert worker.poll() is None, "the worker did not survive its clock"
    finally:
        worker.terminate()
        worker.wait(60)
        platform.up(project, {server})


FAULTS: dict[str, Callable[[Project, str], None]] = {
    "kill": _kill,
    "pause": _pause,
    "slow": _slow,
    "full disk": _full,
    "cut": _cut,
    "clock": _clock,
}
