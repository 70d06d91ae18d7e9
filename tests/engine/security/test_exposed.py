"""Real servers of the platform: their sockets, their command lines, their logs."""

from __future__ import annotations

from tests import exposed


def test_servers_keep_to_themselves(shared):
    project = shared("bus", "postgres", "source:till")
    pids, hidden = exposed.processes(project), exposed.secrets(project)
    assert {"bus", "postgres", "source-till"} <= set(pids.values()) and len(hidden) > 5
    a = project.addresses
    wanted = {a.port("bus"), a.port("bus-controller"), a.port("postgres"), a.source_port("till")}
    assert wanted <= exposed.listening(pids)
    assert exposed.open_to_others(pids) == []
    assert exposed.told_by_command_lines(hidden, pids) == []
    assert exposed.told_by_files(hidden, (project.state / "logs").rglob("*")) == []
    holding = [path for path in (project.state / "run").rglob("*") if exposed.told_by_files(hidden, [path])]
    assert exposed.readable_by_others([*holding, project.state / "secrets.env"]) == []
    assert project.state.stat().st_mode & 0o077 == 0
