"""kill -9 of each server and of a landing worker while the generator runs: it comes back, and equality holds."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import psutil
import pytest

from tests.e2e import oracle
from tests.e2e.company import Company

# The way of the data, one at a time; what only looks on or schedules is killed in one test, one after the other.
ON_THE_WAY = (
    "source-orders",
    "source-payments",
    "bus",
    "connect",
    "landing",
    "postgres",
    "flink-jobmanager",
    "flink-taskmanager",
    "spark",
)
BACK = 180  # seconds


@pytest.fixture
def running(company: Company):
    """The generator at some 300 changes a second; it must survive, and is waited for."""
    generator = company.start(orders=400, rate=20, seed=int(time.time()))
    yield generator
    if generator.poll() is None:
        os.killpg(generator.pid, signal.SIGKILL)
        generator.communicate()


@pytest.mark.parametrize("server", ON_THE_WAY)
def test_killed_it_comes_back_and_every_view_is_exact(
    company: Company, until: Callable[..., object], running: subprocess.Popen[str], server: str
):
    time.sleep(5)  # so that orders are in every stage: there is no state to wait for, the generator tells in the end
    assert running.poll() is None, "the generator ended before the kill: this would prove nothing"
    kill(company, server, until)
    assert company.finish(running)["orders"] == 400
    company.wait()
    assert oracle.differences(company.project) == {}


def test_those_beside_the_way_come_back(company: Company, until: Callable[..., object], running: subprocess.Popen[str]):
    others = [name for name, row in company.servers().items() if name not in ON_THE_WAY and row["pid"]]
    assert others
    for server in others:
        kill(company, server, until)
    company.finish(running)
    company.wait()
    assert oracle.differences(company.project) == {}


def kill(company: Company, server: str, until: Callable[..., object]) -> None:
    """Kills a server's process with -9, as a crash would, and waits until another one runs and listens."""
    pid = company.servers()[server]["pid"]
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)

    def back() -> bool:
        row = company.servers()[server]
        return row["state"] == "running" and row["pid"] != pid and listens(row["address"])

    until(back, BACK, f"{server} runs again")


def listens(address: str | None) -> bool:
    """Whether somebody answers at the server's address; true for a server that has none."""
    found = re.search(r"([\w.]+):(\d+)/?$", address or "")
    if not found:
        return True
    with socket.create_connection((found[1], int(found[2])), timeout=2):
        return True
