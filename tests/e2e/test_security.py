"""The whole platform as others on the machine and on the network see it."""

from __future__ import annotations

import httpx
import psutil

from headrace.local.servers import servers
from tests import exposed
from tests.e2e.company import Company


def test_every_listener_is_on_loopback(company: Company):
    pids = exposed.processes(company.project)
    running = [s for s in servers(company.project) if s.name in pids.values()]
    seen = exposed.listening(psutil.pids())
    # The log server of a scheduler that a test has killed may be nobody's child, or not be there again yet.
    expected = [s for s in running if s.ports and s.name != "airflow-scheduler"]
    unseen = [s.name for s in expected if not seen & set(s.ports.values())]
    assert len(running) > 12 and not unseen, "not all sockets can be seen"
    wrong = [(pids[pid], address, port) for pid, address, port in exposed.open_to_others(pids)]
    assert wrong == []
    ours = {port for server in running for port in server.ports.values()}
    assert [found for found in exposed.open_to_others(psutil.pids()) if found[2] in ours] == []


def test_no_secret_is_in_a_command_line_a_log_or_a_file_of_others(company: Company):
    project = company.project
    pids, hidden = exposed.processes(project), exposed.secrets(project)
    assert len(pids) > 15 and len(hidden) > 9
    assert exposed.told_by_command_lines(hidden, pids) == []
    assert exposed.told_by_files(hidden, (project.state / "logs").rglob("*")) == []
    holding = [path for path in (project.state / "run").rglob("*") if exposed.told_by_files(hidden, [path])]
    assert exposed.readable_by_others([*holding, project.state / "secrets.env"]) == []
    assert project.state.stat().st_mode & 0o077 == 0


def test_connectors_name_their_secrets(company: Company):
    hidden = exposed.secrets(company.project)
    with httpx.Client(base_url=company.project.addresses.connect, timeout=30) as client:
        text = client.get("/connectors", params={"expand": "info"}).raise_for_status().text
    assert "database.password" in text and not [name for name, value in hidden.items() if value in text]
