"""The whole platform for the example company, started once per session in a copy of the project and stopped exactly."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.company import Company


@pytest.fixture(scope="session")
def company(repository: Path) -> Iterator[Company]:
    """Everything runs: databases with a history, bus, Connect, landing, Spark, Flink, Airflow, serving.

    HEADRACE_TESTS_FOLDER names the folder to work in (default: a new temporary one). HEADRACE_KEEP=1 leaves the
    folder and the platform as they are, to look at.
    """
    from headrace.local import ports

    given = os.environ.get("HEADRACE_TESTS_FOLDER")
    root = Path(tempfile.mkdtemp(prefix="company-", dir=given))
    first = ports.suggestion(22000 + os.getpid() % 80 * 100)  # people who test at once search from different places
    made = Company(repository, root, first)
    try:
        made.up()
        yield made
    finally:
        if not os.environ.get("HEADRACE_KEEP"):
            made.down()
            shutil.rmtree(root, ignore_errors=True)
