"""The whole platform for the example company, started once per session in a copy of the project and stopped exactly."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def until() -> Callable[..., object]:
    """Waits until a condition is true; fails with `what` and the last value or error when the seconds are over."""

    def wait(condition: Callable[[], object], seconds: float, what: str = "") -> object:
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                last = condition()
                if last:
                    return last
            except Exception as error:
                last = error
            time.sleep(0.3)
        pytest.fail(f"after {seconds:.0f} s still not: {what or condition}; last: {last!r}")

    return wait
