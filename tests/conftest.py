"""What every test shares: its marker from its folder, and the longest it may take from its marker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

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


class Site(ThreadingHTTPServer):
    """An HTTP server on loopback. `answer(request)` gives a body, or (status, body) or (status, body, headers).

    A request is what the handler knows (path, headers, …) with `query`, its parameters. None as answer ends the
    connection without one. `asked` is every request's path with parameters, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: Callable[[Any], Any] = lambda request: (404, b"{}")
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        self.server.asked.append(self.path)
        given = self.server.answer(self)
        if given is None:
            self.close_connection = True
            return
        status, body, headers = (*given, {})[:3] if isinstance(given, tuple) else (200, given, {})
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if headers.get("Content-Length"):  # longer than the body: the answer is cut short
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests read `asked`."""


@contextmanager
def serving() -> Iterator[Site]:
    """A site while the block runs."""
    server = Site()
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    """A REST service that answers as the test says; stopped at its end."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def module_site() -> Iterator[Site]:
    """One for all tests of a file, whose project names its address."""
    with serving() as server:
        yield server
