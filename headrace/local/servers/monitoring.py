"""Prometheus and Alertmanager beside the platform, and the process that tells Prometheus how it is.

Only `headrace up --monitoring` starts them; from then on they are servers of the project until the next `down`.
"""

from __future__ import annotations

import functools
from pathlib import Path

from headrace.local import debian, probe
from headrace.local.server import NICE, Server
from headrace.local.servers.workers import metrics
from headrace.monitor import rules
from headrace.project import Project

KEPT = "15d"  # for how long Prometheus keeps what it was told
# Debian's packages of the programs, and those with the scripts of Prometheus' pages.
PACKAGES = {
    "alertmanager": ("prometheus-alertmanager",),
    "prometheus": (
        *("prometheus", "fonts-glyphicons-halflings", "libjs-bootstrap4", "libjs-eonasdan-bootstrap-datetimepicker"),
        *("libjs-jquery", "libjs-jquery-hotkeys", "libjs-moment", "libjs-moment-timezone", "libjs-mustache"),
        *("libjs-popper.js", "libjs-rickshaw", "libjs-d3"),
    ),
}


def servers(project: Project) -> list[Server]:
    """The three servers where monitoring was asked for, else none."""
    if not _asked(project).exists():
        return []
    return [metrics(project), _alertmanager(project), _prometheus(project)]


def ask(project: Project) -> None:
    """Makes them servers of the project until the next `down`, and fetches what is not there."""
    for name in PACKAGES:
        _program(name)
    _asked(project).parent.mkdir(parents=True, exist_ok=True)
    _asked(project).touch()


def forget(project: Project) -> None:
    """They are no servers of the project any more; what they know stays."""
    _asked(project).unlink(missing_ok=True)


def _prometheus(project: Project) -> Server:
    port = project.addresses.port("prometheus")
    folder, own = _folder(project), project.root / "monitoring"
    asked, told = (f"127.0.0.1:{project.addresses.port(n)}" for n in ("metrics", "alertmanager"))
    config, rules_file = folder / "prometheus.yml", folder / "headrace.rules.yml"
    texts = {
        config: rules.prometheus(asked, told, [str(rules_file), str(own / "*.rules.yml")]),
        rules_file: rules.rules(f"http://{asked}/runbooks"),
    }
    flags = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}")
    return Server(
        name="prometheus",
        part="monitoring",
        command=(
            *(*_program("prometheus"), *flags),
            *(f"--storage.tsdb.retention.time={KEPT}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
        ),
        files=texts,
        ports={"prometheus": port},
        folder=folder,
        nice=NICE,
        memory="0.2 GB",
        address=f"http://127.0.0.1:{port}",
        ready=lambda: probe.answers(f"http://127.0.0.1:{port}/api/v1/status/runtimeinfo"),
    )


def _alertmanager(project: Project) -> Server:
    port = project.addresses.port("alertmanager")
    folder, own = _folder(project), project.root / "monitoring" / "alertmanager.yml"
    config = folder / "alertmanager.yml"
    text = own.read_text(encoding="utf-8") if own.exists() else rules.alertmanager(project.settings.webhook)
    return Server(
        name="alertmanager",
        part="monitoring",
        command=(
            *(*_program("alertmanager"), f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"),
        ),
        files={config: text},
        ports={"alertmanager": port},
        folder=folder,
        nice=NICE,
        memory="0.1 GB",
        address=f"http://127.0.0.1:{port}",
        ready=lambda: probe.answers(f"http://127.0.0.1:{port}/api/v2/status"),
    )


@functools.cache
def _program(name: str) -> tuple[str, ...]:
    return debian.command(name, *PACKAGES[name])


def _folder(project: Project) -> Path:
    return project.state / "monitoring"


def _asked(project: Project) -> Path:
    return project.state / "run" / "monitoring"
