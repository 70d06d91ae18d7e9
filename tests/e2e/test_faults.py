"""kill -9 of each server and of a landing worker while the generator runs: it comes back, and equality holds."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.e2e import oracle
from tests.e2e.company import Company

# One at a time, in groups that are caught up and compared once: catching up costs more than the kills.
GROUPS = {
    "capture and the road": ("source-orders", "source-payments", "connect", "bus", "landing"),
    "alerts": ("flink-zookeeper", "flink-jobmanager", "flink-taskmanager", "flink-gateway"),
    "batch, serving, what is pulled, what looks on": (
        *("postgres", "spark", "pulse", "source-reviews", "source-areas", "partner"),
        *("airflow-api", "airflow-scheduler", "airflow-dags"),
    ),
}
BACK = 300  # seconds; a JVM starts in 20 on an idle machine
RATE = 10  # orders a second: some 150 changes
BETWEEN = 4.0  # seconds, so that orders are in every stage at each kill: there is no state to wait for


@pytest.fixture
def generator(company: Company) -> Iterator[subprocess.Popen[str]]:
    """The generator, until the test stops it."""
    with company.busy(RATE) as running:
        yield running


@pytest.mark.parametrize("group", GROUPS)
def test_killed_while_orders_come_in_each_comes_back_and_every_view_is_exact(
    company: Company, until: Callable[..., object], generator: subprocess.Popen[str], group: str
):
    for server in GROUPS[group]:
        time.sleep(BETWEEN)
        assert generator.poll() is None, f"the generator ended before {server} was killed"
        kill(company, server, until)
    time.sleep(BETWEEN)
    generator.send_signal(signal.SIGINT)
    assert company.finish(generator)["orders"] > RATE * BETWEEN
    company.wait()
    assert oracle.differences(company.project) == {}


def test_every_server_of_the_platform_is_in_a_group(company: Company):
    assert {server for group in GROUPS.values() for server in group} == set(company.servers())


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
