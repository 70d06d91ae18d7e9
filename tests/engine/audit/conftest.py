"""A landing worker for the tests of a whole file, and contracts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from headrace.project import Project
from tests.engine.ingest.conftest import Worker, contract, workers


@pytest.fixture(scope="module")
def work_module() -> Iterator[Callable[[Project], Worker]]:
    """work_module(project) starts a landing worker; it is stopped after the file's last test."""
    with workers() as start:
        yield start


@pytest.fixture(scope="session")
def make_contract() -> Callable[..., str]:
    return contract
