"""The faults, each done to a running server and taken back; what `aim` gives returns when it is over.

* kill: SIGKILL, as a crash. pause: SIGSTOP of the server and its children, as a machine that hangs.
* slow: it runs a tenth of the time, as on a disk or a processor that is all others'.
* full disk: every write to a file that would grow past a few bytes fails (RLIMIT_FSIZE), as on a disk without space.
* cut, reset: packets to and from it vanish, or its connections are ended again and again (`network.py`).
* clock: the clock that a landing worker reads jumps an hour, forth and back.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from headrace.errors import HeadraceError
from headrace.ingest.wall_clock import AGAIN
from headrace.local import debian, platform, supervise
from headrace.local.install import environment
from headrace.project import Project
from tests.chaos import network
from tests.chaos.cells import Cell

SECONDS = 12.0  # that a fault lasts which is not a kill
TURN = 0.5  # seconds of a turn of `slow`
ENOUGH = 4096  # bytes to which a file may grow while the disk is full


def aim(project: Project, cell: Cell) -> Callable[[], None]:
    """What does the cell's fault to its component when it is called. Raises HeadraceError when that does not run."""
    if cell.fault == "clock":
        return lambda: _clock(project, cell.component)
    family = _family(project, cell.component)
    return lambda: FAULTS[cell.fault](family)


def heal(project: Project) -> None:
    """Takes back what a trial that was cut off has left: servers that stand still, may not write or are unheard."""
    network.heal()
    for name, state in supervise.states(project).items():
        if state["pid"]:
            family = _family(project, name)
            _limit(family, psutil.RLIM_INFINITY)
            _signal(family, signal.SIGCONT)


def _family(project: Project, server: str) -> list[psutil.Process]:
    pid = supervise.states(project)[server]["pid"]
    if not pid or not psutil.pid_exists(pid):
        raise HeadraceError(f"{server} does not run, so nothing can be done to it")
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _signal(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def _kill(family: list[psutil.Process]) -> None:
    _signal(family, signal.SIGKILL)


def _pause(family: list[psutil.Process]) -> None:
    try:
        _signal(family, signal.SIGSTOP)
        time.sleep(SECONDS)
    finally:
        _signal(family, signal.SIGCONT)


def _slow(family: list[psutil.Process]) -> None:
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            _signal(family, signal.SIGSTOP)
            time.sleep(TURN * 0.9)
            _signal(family, signal.SIGCONT)
            time.sleep(TURN * 0.1)
    finally:
        _signal(family, signal.SIGCONT)


def _full(family: list[psutil.Process]) -> None:
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


def _clock(project: Project, server: str) -> None:
    library = next(debian.unpacked("libfaketime").glob("usr/lib/*/faketime/libfaketime.so.1"))
    clock = project.state / "run" / "clock"
    clock.write_text("+0")
    said = _faked(project, library, clock) | {"HEADRACE_PROJECT": str(project.root)}
    command = [str(environment("platform") / "bin" / "headrace"), "-C", str(project.root), "work", server]
    worker = None
    try:
        platform.down(project, {server})
        for shift in ("+0", "+3600", "-3600", "+0"):
            clock.write_text(shift)
            end = time.monotonic() + SECONDS / 3
            while time.monotonic() < end:
                if worker is None or worker.poll() == AGAIN:  # as supervisor does
                    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                    worker = subprocess.Popen(command, env=os.environ | said, **silent)
                time.sleep(0.1)
        if worker and worker.poll() is not None:
            raise HeadraceError("the worker did not survive its clock")
    finally:
        try:
            if worker:
                worker.terminate()
                worker.wait(60)
        finally:
            if worker:
                worker.kill()
            platform.up(project, {server})


def _faked(project: Project, library: Path, clock: Path) -> dict[str, str]:
    """Variables under which a process reads the clock in the file. Two ways to wait escape the library, as they would
    not escape a clock that jumps: Python's sleep, and the C11 wait of the bus's client, which libc forwards by itself.
    """
    folder = project.state / "run" / "clocked"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import select, time\ntime.sleep = lambda s: select.select((), (), (), s)\n"
    )
    (folder / "wait.c").write_text(_WAIT)
    compiler = shutil.which("cc")
    if not compiler:
        raise HeadraceError("no clock can jump without a C compiler", hint="apt-get install gcc libc6-dev")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "wait.so", folder / "wait.c"], check=True)
    return {
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": f"{folder}/wait.so:{library}",
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


_WAIT = """#include <errno.h>
#include <pthread.h>
#include <threads.h>
int cnd_timedwait(cnd_t *condition, mtx_t *lock, const struct timespec *until) {
  int said = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)lock, until);
  return said == 0 ? thrd_success : said == ETIMEDOUT ? thrd_timedout : thrd_error;
}
"""
FAULTS: dict[str, Callable[[list[psutil.Process]], None]] = {
    "kill": _kill,
    "pause": _pause,
    "slow": _slow,
    "full disk": _full,
    "cut": lambda family: network.cut(family, SECONDS),
    "reset": lambda family: network.reset(family, SECONDS),
}
