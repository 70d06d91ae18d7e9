"""A landing worker for the tests of a whole file, and contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from headrace.project import Project
from tests.engine.ingest.conftest import Worker, contract


@pytest.fixture(scope="module")
def work_module() -> Iterator[Callable[[Project], Worker]]:
    """work_module(project) starts a landing worker; it is stopped after the file's last test."""
    workers: list[Worker] = []

    def start(project: Project) -> Worker:
        workers.append(Worker(project))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture(scope="session")
def make_contract() -> Callable[..., str]:
    return contract
