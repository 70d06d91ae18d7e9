"""Landing workers as processes of their own, and the lake beside the bus, for tests of ingestion."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from headrace.ingest import bus
from headrace.lake import landing, paths
from headrace.project import Project


class Worker:
    """`headrace work landing` of a project, in a process group of its own."""

    def __init__(self, project: Project) -> None:
        self.log = project.root / "landing.log"
        command = [str(Path(sys.executable).with_name("headrace")), "-C", str(project.root), "work", "landing"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """kill -9: no chance to commit or to leave the group."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def workers() -> Iterator[Callable[[Project], Worker]]:
    """A function that starts landing workers; those still running at the end of the block are stopped."""
    started: list[Worker] = []

    def start(project: Project) -> Worker:
        started.append(Worker(project))
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture
def work() -> Iterator[Callable[[Project], Worker]]:
    """work(project) starts a landing worker; those still running at the end are stopped."""
    with workers() as start:
        yield start


@pytest.fixture
def landed() -> Callable[..., list[dict[str, Any]]]:
    """landed(project, table): its landing rows without markers, in order of position and offset."""

    def read(project: Project, table: str, markers: bool = False) -> list[dict[str, Any]]:
        if not DeltaTable.is_deltatable(paths.landing(project, table)):
            return []
        rows = DeltaTable(paths.landing(project, table)).to_pyarrow_table().to_pylist()
        rows = [row for row in rows if markers or row["op"] != "m"]
        return sorted(rows, key=lambda row: (row["position"], row["partition"], row["offset"]))

    return read


@pytest.fixture
def quarantined() -> Callable[[Project, str], list[dict[str, Any]]]:
    """quarantined(project, table): its rejected rows in order of partition and offset."""

    def read(project: Project, table: str) -> list[dict[str, Any]]:
        if not DeltaTable.is_deltatable(paths.quarantine(project, table)):
            return []
        rows = DeltaTable(paths.quarantine(project, table)).to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: (row["topic"], row["partition"], row["offset"]))

    return read


@pytest.fixture
def all_landed() -> Callable[[Project, dict[tuple[str, int], int]], bool]:
    """all_landed(project, targets): whether landing has passed the targets of `markers.mark`."""

    def reached(project: Project, targets: dict[tuple[str, int], int]) -> bool:
        table_of = {table.topic: name for name, table in project.tables.items()}
        return all(landing.positions(project, table_of[t]).get(p, 0) > at for (t, p), at in targets.items())

    return reached


@pytest.fixture
def on_bus() -> Callable[[Project, str], list[Any]]:
    """on_bus(project, topic): every committed record of a topic that is not a marker."""

    def read(project: Project, topic: str) -> list[Any]:
        records = bus.read_to_end(project, topic)
        return [r for r in records if not any(name == "headrace-marker" for name, _ in r.headers() or [])]

    return read


def contract(table: str, columns: dict[str, str], key: str, event_time: str = "") -> str:
    """A contract: columns are name → logical type, `decimal(p,s)`, with ! for required; `key` may name several."""
    lines = [f"apiVersion: v3.1.0\nkind: DataContract\nid: {table}\nversion: 1.0.0"]
    lines += [f"schema:\n  - name: {table}\n    properties:"]
    for name, kind in columns.items():
        exact = kind.rstrip("!") if kind.startswith("decimal") else ""
        entry = f"name: {name}, logicalType: {'number' if exact else kind.rstrip('!')}"
        entry += f", physicalType: '{exact}'" if exact else ""
        entry += ", required: true" if kind.endswith("!") else ""
        lines.append(f"      - {{{entry}{', primaryKey: true' if name in key.split(', ') else ''}}}")
    if event_time:
        lines.append(f"customProperties:\n  - {{property: eventTime, value: {event_time}}}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def make_contract() -> Callable[..., str]:
    return contract
