"""Which servers a project gets, and what their configuration says."""

from __future__ import annotations

import json
import subprocess

import pytest

from headrace.errors import HeadraceError
from headrace.local import provision, secrets
from headrace.local.server import NICE
from headrace.local.servers import chosen, kept, servers
from headrace.project import load
from headrace.project.settings import PORTS

ALL = {
    "postgres",
    "source-shop",
    "source-till",
    "bus",
    "connect",
    "flink-zookeeper",
    "flink-jobmanager",
    "flink-taskmanager",
    "flink-gateway",
    "spark",
    "landing",
    "pulse",
    "airflow-api",
    "airflow-scheduler",
    "airflow-dags",
}


def names(found) -> set[str]:
    return {server.name for server in found}


def test_everything_is_local_unless_it_has_an_address(local_project):
    assert names(servers(local_project())) == ALL


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ("bus: kafka:9092", {"bus"}),
        ("connect: http://connect:8083", {"connect"}),
        ("spark: sc://spark:15002", {"spark"}),
        (
            "flink: {rest: 'http://f:8081', gateway: 'http://f:8083'}",
            {"flink-zookeeper", "flink-jobmanager", "flink-taskmanager", "flink-gateway"},
        ),
        ("serving: postgresql://headrace:${HEADRACE_SERVING_PASSWORD}@db:5432/headrace", {"postgres"}),
    ],
)
def test_a_part_with_an_address_is_not_started(local_project, setting, gone):
    assert names(servers(local_project(setting + "\n"))) == ALL - gone


def test_only_takes_parts_and_single_sources(local_project):
    project = local_project()
    assert names(chosen(project, {"source:shop", "bus"})) == {"source-shop", "bus"}
    assert names(chosen(project, {"source"})) == {"source-shop", "source-till"}
    with pytest.raises(HeadraceError, match="did you mean 'flink'"):
        chosen(project, {"flnk"})


def test_no_two_servers_share_a_port_and_all_are_in_the_table(local_project):
    project = local_project("local: {ports: 23000}\n")
    taken = [port for server in servers(project) for port in server.ports.values()]
    assert len(taken) == len(set(taken))
    assert {port - 23000 for port in taken} <= {*PORTS.values(), 20, 21}


def test_only_batch_and_airflow_give_way(local_project):
    """The alert path must not wait for batch: DESIGN §7."""
    nice = {server.name for server in servers(local_project()) if server.nice}
    assert nice == {"spark", "airflow-api", "airflow-scheduler", "airflow-dags"}


def test_secrets_are_in_no_command_line_and_in_no_connector_setting(local_project):
    """Everybody on a machine can read the command lines of all processes."""
    project = local_project()
    hidden = [
        project.addresses.secret(name) for name in ("HEADRACE_SERVING_PASSWORD", "SHOP_PASSWORD", "TILL_PASSWORD")
    ]
    for server in servers(project):
        assert not any(secret in " ".join(server.command) for secret in hidden), server.name
    (connect,) = chosen(project, {"connect"})
    assert not any(secret in text for secret in hidden for text in connect.files.values())
    assert set(connect.environment) >= {"SHOP_PASSWORD", "TILL_PASSWORD"}


def test_kept_commands_run_beside_the_platform_until_forgotten(local_project):
    project = local_project()
    kept.keep(project, {"demo": "python -m demo --forever"})
    (demo,) = [s for s in servers(project) if s.name not in ALL]
    assert (demo.name, demo.nice, demo.kept) == ("demo", 10, True)
    assert demo.command == ("python", "-m", "demo", "--forever")
    kept.forget(project)
    assert names(servers(project)) == ALL


def test_landing_is_asked_for_in_the_group_that_its_worker_joins(local_project, monkeypatch):
    """Another name here, and `up` would wait for a group that nobody joins."""
    from headrace.ingest import worker
    from headrace.local import probe

    asked: list[str] = []
    monkeypatch.setattr(probe, "group", lambda address, name: asked.append(name))
    project = local_project()
    (landing,) = chosen(project, {"landing"})
    landing.ready()
    assert asked == [worker.group(project)]


@pytest.fixture
def ring(local_project, tmp_path):
    """A project with a local Cassandra beside the other sources."""
    local_project()
    root = tmp_path / "project"
    (root / "lake/sources/ring.yml").write_text(
        "kind: cassandra\nconnection: {local: true}\ntables: {hops: ring.hops}\n"
    )
    (root / "schemas/hops.yaml").write_text((root / "schemas/visits.yaml").read_text().replace("visits", "hops"))
    project = load(root)
    assert not project.problems
    secrets.ensure(project)
    return project


@pytest.mark.parametrize(("version", "fits"), [("17.0.15", True), ("11.0.2", True), ("21", False), ("1.8.0_1", False)])
def test_a_cassandra_node_says_which_java_it_needs(ring, monkeypatch, version, fits):
    (node,) = chosen(ring, {"source:ring"})
    done = subprocess.CompletedProcess([], 0, "", f'openjdk version "{version}" 2024-01-01\n')
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: done)
    if fits:
        node.prepare()
    else:
        with pytest.raises(HeadraceError, match="runs on Java 17 or 11"):
            node.prepare()


def test_a_cassandra_node_listens_on_loopback_and_keeps_what_it_acknowledged(ring):
    project = ring
    (node,) = chosen(project, {"source:ring"})
    config = json.loads(next(text for path, text in node.files.items() if path.suffix == ".yaml"))
    assert (config["listen_address"], config["rpc_address"], config["commitlog_sync"]) == (
        "127.0.0.1",
        "127.0.0.1",
        "group",
    )
    assert set(node.ports.values()) == {config["native_transport_port"], config["storage_port"]}
    taken = [port for server in servers(project) for port in server.ports.values()]
    assert len(taken) == len(set(taken))
    password = project.addresses.secret("RING_PASSWORD")
    assert not any(password in text for text in [" ".join(node.command), *node.files.values()])


def test_a_local_graph_is_a_server_of_its_own(local_project):
    """Only where a source asks for it; its password is neither in its command line nor in its configuration."""
    root = local_project().root
    (root / "lake/sources/graph.yml").write_text("kind: neo4j\nconnection: {local: true}\ntables: {likes: ':Like'}\n")
    (root / "schemas/likes.yaml").write_text((root / "schemas/sales.yaml").read_text().replace("sales", "likes"))
    project = load(root)
    assert not project.problems
    secrets.ensure(project)
    (graph,) = chosen(project, {"source:graph"})
    address = project.addresses.source(project.source("graph"))
    secret = project.addresses.secret("GRAPH_PASSWORD")
    assert address == f"bolt://headrace:{secret}@127.0.0.1:{graph.ports['source:graph']}/neo4j"
    assert names(servers(project)) == ALL | {"source-graph"}
    assert secret not in " ".join((*graph.command, *graph.files.values()))
    assert secret in graph.environment.values()
    assert f"server.bolt.listen_address=127.0.0.1:{graph.ports['source:graph']}\n" in "".join(graph.files.values())
    (connect,) = chosen(project, {"connect"})
    assert "GRAPH_PASSWORD" not in connect.environment  # nothing is captured from it


def test_no_connector_waits_for_a_cassandra_node(ring):
    needs = {step.name: set(step.needs) for step in provision.steps(ring, servers(ring), "make tables")}
    assert needs["connectors"] >= {"prepare", "source-shop", "source-till"}
    assert "source-ring" not in needs["prepare"] | needs["connectors"]
    assert needs["prepare pulled sources"] == {"prepare", "source-ring"}
    (node,) = chosen(ring, {"source:ring"})
    assert (provision.before(ring, node), node.nice) == (("connectors",), NICE)
    alone = {step.name: set(step.needs) for step in provision.steps(ring, [node], "make tables")}
    assert alone == {"prepare": {"topics", "source-ring"}}


def test_a_command_is_told_which_sources_it_prepares(ring):
    told = ring.root / "told"
    command = f"""sh -c 'echo "$HEADRACE_SOURCES" >> {told}'"""
    for step in provision.steps(ring, servers(ring), command):
        if step.name.startswith("prepare"):
            step.run()
    assert told.read_text().splitlines() == ["shop till", "ring"]


def test_a_local_service_has_a_port_and_no_server(local_project):
    """Whoever runs the project runs the service, at the port that the platform's table keeps for it."""
    root = local_project().root
    (root / "lake/sources/partner.yml").write_text("kind: rest\nconnection: {local: true}\ntables: {deals: {}}\n")
    (root / "schemas/deals.yaml").write_text((root / "schemas/sales.yaml").read_text().replace("sales", "deals"))
    project = load(root)
    assert not project.problems
    assert project.addresses.source(project.source("partner")) == "http://127.0.0.1:22020"
    assert names(servers(project)) == ALL
    secrets.ensure(project)
    assert "PARTNER_PASSWORD" not in (project.state / "secrets.env").read_text()
    with pytest.raises(HeadraceError, match="no part 'source:partner'"):
        chosen(project, {"source:partner"})
