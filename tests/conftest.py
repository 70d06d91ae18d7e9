"""What every test shares: its marker from its folder, and the longest it may take from its marker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = {"unit": 60, "engine": 600, "e2e": 2700}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder not in SECONDS:
            continue
        item.add_marker(folder)
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS[folder]))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout the tests run in."""
    return ROOT


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
            time.sleep(0.2)
        pytest.fail(f"after {seconds:.0f} s still not: {what or condition}; last: {last!r}")

    return wait
