"""Headrace's own long-running parts: the landing worker and the pulse."""

from __future__ import annotations

from typing import Any

from headrace.local import probe
from headrace.local.install import environment
from headrace.local.server import NICE, Server, nothing
from headrace.project import Project


def landing(project: Project) -> list[Server]:
    """The members of the consumer group that lands every topic."""
    ready = (lambda: _has_joined(project)) if project.tables else nothing
    return [
        Server(
            name="landing" if number == 1 else f"landing-{number}",
            part="landing",
            needs=project.settings.local.nodes,
            memory="0.5 GB",
            ready=ready,
            stop_patience=30,
            **_work(project, "landing"),
        )
        for number in range(1, project.settings.local.landing_workers + 1)
    ]


def pulse(project: Project) -> Server:
    """Tells Airflow about new data and keeps stream jobs running between its DAGs' runs."""
    return Server(
        name="pulse",
        part="pulse",
        needs=(*project.settings.local.nodes, "postgres"),
        memory="0.2 GB",
        ready=nothing,
        **_work(project, "pulse"),
    )


def metrics(project: Project) -> Server:
    """Tells Prometheus how the platform is."""
    port = project.addresses.port("metrics")
    return Server(
        name="metrics",
        part="monitoring",
        ports={"metrics": port},
        address=f"http://127.0.0.1:{port}/metrics",
        nice=NICE,
        memory="0.2 GB",
        ready=lambda: probe.answers(f"http://127.0.0.1:{port}/metrics"),
        **_work(project, "metrics"),
    )


def _has_joined(project: Project) -> None:
    from headrace.ingest import worker

    probe.group(project.addresses.bus_client(), worker.group(project))


def _work(project: Project, what: str) -> dict[str, Any]:
    # One thread pool per core is more than a worker beside ten servers needs, and each arena of malloc costs memory.
    environment_ = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1", "HEADRACE_PROJECT": str(project.root)}
    command = (str(environment("platform") / "bin" / "headrace"), "-C", str(project.root), "work", what)
    return {"command": command, "folder": project.root, "environment": environment_}
