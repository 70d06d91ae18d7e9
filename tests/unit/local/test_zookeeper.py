"""What Flink's JobManager remembers: for how long, and who may read it."""

from __future__ import annotations

import socket

from headrace.local.servers import servers, zookeeper


def test_up_begins_without_what_an_earlier_one_remembered_unless_a_job_manager_runs(local_project, tmp_path):
    project = local_project()
    (server,) = [one for one in servers(project) if one.name == zookeeper.NAME]
    plans = project.state / "flink" / "recovery" / "plans"
    plans.mkdir(parents=True)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", project.addresses.port("flink-rpc")))
        listener.listen()
        server.prepare()
        assert plans.exists()
    server.prepare()
    assert not plans.exists()
    assert plans.parent.stat().st_mode & 0o777 == 0o700, "plans hold a password"


def test_who_submits_jobs_asks_the_job_manager_itself(local_project):
    """Through ZooKeeper a client would wait for it; only the two whose part it is are told where it is."""
    found = {one.name: " ".join(one.command) for one in servers(local_project()) if one.part == "flink"}
    told = {name for name, command in found.items() if "high-availability.type=zookeeper" in command}
    assert told == {"flink-jobmanager", "flink-taskmanager"}
    assert not any("high-availability" in text for one in servers(local_project()) for text in one.files.values())
