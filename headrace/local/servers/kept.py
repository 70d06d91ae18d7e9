"""Commands of the user's own beside the platform, such as a load generator: `headrace up --keep NAME=COMMAND`."""

from __future__ import annotations

import json
import shlex

from headrace.local.secrets import write_private
from headrace.local.server import NICE, Server, nothing
from headrace.local.servers import monitoring, superset
from headrace.project import Project


def keep(project: Project, commands: dict[str, str]) -> None:
    """Remembers commands until the next `down`; a name that is there already gets the new command."""
    write_private(project.state / "run" / "kept.json", json.dumps(_kept(project) | commands, indent=2))


def forget(project: Project) -> None:
    """No command is kept any more, no dashboards and no monitoring."""
    superset.forget(project)
    monitoring.forget(project)
    (project.state / "run" / "kept.json").unlink(missing_ok=True)


def servers(project: Project) -> list[Server]:
    """One server per kept command, in the project's folder, at low priority."""
    return [
        Server(
            name=name,
            part=name,
            command=tuple(shlex.split(command)),
            environment={"PYTHONUNBUFFERED": "1"},
            folder=project.root,
            nice=NICE,
            kept=True,
            needs=("prepare", "connectors"),
            ready=nothing,
            stop_patience=15,
        )
        for name, command in _kept(project).items()
    ]


def _kept(project: Project) -> dict[str, str]:
    path = project.state / "run" / "kept.json"
    return json.loads(path.read_text()) if path.exists() else {}
