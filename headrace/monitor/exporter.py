"""`headrace work metrics`: what Prometheus asks for. Every look has a thread of its own, so that one part that is away
holds up nothing that is known of the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.monitor import ingestion, runbooks, streams, views
from headrace.orchestrate.watch import Files
from headrace.project import Project, load

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
Status = Callable[[Project], Iterable[Mapping[str, Any]]]


@dataclass
class Look:
    """One thing that is looked at again and again; `found` is what it said last, and `at` when (Unix seconds)."""

    name: str
    seconds: float
    take: Callable[[], Iterable[Metric]]
    found: list[Metric] = field(default_factory=list)
    at: float = 0.0
    error: str = ""

    def once(self) -> None:
        """Looks. While a part is away nothing is said of it, rather than what was true once."""
        try:
            self.found, self.error = list(self.take()), ""
            self.at = time.time()
        except BaseException as error:  # whatever it is (a panic in Rust is none of Exception), `look_failed` says so
            self.found, self.error = [], str(error).strip().split("\n")[0] or type(error).__name__

    def again(self, said: Callable[[str], None]) -> None:
        """Looks for ever; says once when it stops working, and when it works again."""
        while True:
            began, before = time.monotonic(), self.error
            self.once()
            if bool(self.error) != bool(before):
                said(f"{self.name}: {self.error or 'works again'}")
            time.sleep(max(0.5, self.seconds - (time.monotonic() - began)))


class Looks(Collector):
    """All looks, as Prometheus' client library wants them."""

    def __init__(self, looks: list[Look]) -> None:
        self.looks = looks

    def collect(self) -> Iterator[Metric]:
        failed = GaugeMetricFamily("headrace_look_failed", "1 while a part can't be looked at.", labels=("look",))
        at = GaugeMetricFamily("headrace_look_timestamp_seconds", "When a look last worked.", labels=("look",))
        for look in self.looks:
            yield from look.found
            failed.add_metric((look.name,), float(bool(look.error)))
            at.add_metric((look.name,), look.at)
        yield from (failed, at)


class Present:
    """The project as its files are now."""

    def __init__(self, project: Project) -> None:
        self._project, self._files, self._lock = project, Files(project.root), threading.Lock()
        self._changed = False

    def __call__(self) -> Project:
        """Reads the files again where one of them changed; raises HeadraceError while headrace.yml is wrong."""
        with self._lock:
            self._changed = self._files.changed() or self._changed
            if self._changed:
                self._project = load(self._project.root)
                self._changed = False
            return self._project


def looks(present: Callable[[], Project], status: Status) -> list[Look]:
    """What is looked at, and how often (seconds): what alerts wait for often, what costs more less often."""
    read, shown = ingestion.Ingestion(), views.Views()
    return [
        Look("ingestion", 5, lambda: read.collect(present())),
        Look("runs", 10, lambda: views.recorded(present())),
        Look("jobs at Flink", 10, lambda: streams.jobs(present())),
        Look("sources", 10, lambda: streams.sources(present())),
        Look("servers", 10, lambda: streams.servers(status(present()))),
        Look("views", 10, lambda: shown.collect(present())),
        Look("rejected rows", 10, lambda: ingestion.rejected(present())),
        Look("quarantine", 600, lambda: ingestion.waiting(present())),
        Look("files", 5, lambda: views.described(present())),
    ]


def serve(project: Project, port: int, status: Status) -> None:
    """Answers Prometheus on loopback until the process is ended. `status` gives the rows of `headrace status`."""
    taken = looks(Present(project), status)
    for look in taken:
        threading.Thread(target=look.again, args=(_say,), name=look.name, daemon=True).start()
    with make_server(HOST, port, application(taken), _Server, _Quiet) as server:
        server.serve_forever()


def application(looks: list[Look]) -> WSGIApplication:
    """/metrics for Prometheus, and /runbooks for whoever follows the link of an alert."""
    registry = CollectorRegistry()
    registry.register(Looks(looks))
    numbers = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").rstrip("/") != "/runbooks":
            return numbers(environ, start)
        start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [runbooks.page().encode()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Not a line per question."""


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} metrics: {text}", flush=True)
