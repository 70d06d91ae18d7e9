"""The settings of the containers are those of the platform: addresses, servers' options, monitoring, Airflow."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from headrace.local import provision
from headrace.local.servers import connect, flink, kafka, storage
from headrace.monitor import rules
from headrace.project import inspect

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
SETTINGS = [DOCKER / "headrace.yml", DOCKER / "kubernetes/headrace.yml"]
IDS = ["compose", "kubernetes"]
# The example's partner service listens on loopback only, so no container can be it: docker/README.md.
ABSENT = {("source-partner", 8080)}
# Services that operators make: their custom resource → name and port.
MADE = {
    "Kafka": ("{}-kafka-bootstrap", 9092),
    "KafkaConnect": ("{}-connect-api", 8083),
    "FlinkDeployment": ("{}-rest", 8081),
    "SparkCluster": ("{}-master-svc", 7077),
}


def script(name: str) -> ModuleType:
    """A script of docker/images/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCKER / "images" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def addresses(project) -> set[tuple[str, int]]:
    """(host, port) of everything that the project's settings and sources name."""
    a = project.addresses
    urls = [a.connect, a.spark, a.flink_rest, a.flink_gateway, a.serving()]
    urls += [a.source(s) for s in project.sources if s.url and s.mode != "events"]
    found = {(part.hostname, part.port) for part in map(urlsplit, urls)}
    return {(h or "", p or 0) for h, p in found} | {(h, int(p)) for h, p in (x.split(":") for x in a.bus.split(","))}


def in_compose(compose: dict[str, Any]) -> set[tuple[str, int]]:
    """(service, port) that is published or exposed; of the brokers by their listeners."""
    found = set()
    for name, service in compose["services"].items():
        found |= {(name, int(str(port).rpartition(":")[2])) for port in service.get("ports", ())}
        found |= {(name, int(port)) for port in service.get("expose", ())}
        listeners = str(service.get("environment", {}).get("KAFKA_ADVERTISED_LISTENERS", ""))
        found |= {(host, int(port)) for host, port in re.findall(r"//([\w-]+):(\d+)", listeners)}
    return found


def in_kubernetes(manifests: list[tuple[str, dict[str, Any]]]) -> set[tuple[str, int]]:
    """(Service, port); those outside the namespace have every port, written as 0."""
    found = set()
    for _, thing in manifests:
        name = thing["metadata"]["name"]
        if thing["kind"] == "Service":
            found |= {(name, port["port"]) for port in thing["spec"].get("ports", ({"port": 0},))}
        elif thing["kind"] in MADE:
            found.add((MADE[thing["kind"]][0].format(name), MADE[thing["kind"]][1]))
    return found


@pytest.mark.parametrize("settings", SETTINGS, ids=IDS)
def test_the_loader_takes_the_project_as_the_image_has_it(contained, settings: Path):
    project = contained(settings)
    assert inspect(project.root)[1] == ()
    assert not any(source.local for source in project.sources)
    assert project.addresses.lake.startswith("s3://")
    assert (project.settings.replication, project.settings.flink is not None) == (3, True)


def test_sources_differ_from_the_projects_in_their_address_only():
    for path in (DOCKER / "sources").glob("*.yml"):
        here, there = (yaml.safe_load(p.read_text()) for p in (path, ROOT / "lake/sources" / path.name))
        assert here.pop("connection") != there.pop("connection")
        assert here == there, path.name


def test_each_address_is_a_service_of_the_compose_file(contained, compose: dict[str, Any]):
    wanted, there = addresses(contained(SETTINGS[0])), in_compose(compose)
    assert len(wanted) > 10
    assert wanted - there == ABSENT
    assert {(h, p) for h, p in wanted if ("x" + h, p) in there} == set()


def test_each_address_is_a_service_of_the_manifests(contained, manifests):
    wanted, there = addresses(contained(SETTINGS[1])), in_kubernetes(manifests)
    assert {(h, p) for h, p in wanted if (h, p) not in there and (h, 0) not in there} == set()
    assert ("landing", 9092) not in there


def test_set_up_makes_everything_that_up_makes(contained):
    project = contained(SETTINGS[0])
    names = {step.name for step in provision.steps(project, [])}
    assert {"schema", "topics", "connectors"} <= names
    assert {f"stream job {job.name}" for job in project.jobs if job.kind == "stream"} <= names
    assert script("setup").provision is provision


def test_prometheus_has_the_projects_rules(contained, tmp_path: Path):
    project = contained(SETTINGS[0])
    script("monitoring").main(project.root, tmp_path / "out")
    made = yaml.safe_load((tmp_path / "out/headrace.rules.yml").read_text())
    theirs = yaml.safe_load(rules.RULES.read_text(encoding="utf-8"))
    for group in made["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"].pop("runbook_url").startswith("http://127.0.0.1:22040/runbooks#")
    assert made == theirs
    asked = yaml.safe_load((tmp_path / "out/prometheus.yml").read_text())
    assert asked["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:22040"]
    assert str(tmp_path / "out/headrace.rules.yml") in asked["rule_files"]


def test_the_ports_of_airflow_and_monitoring_are_the_platforms(contained, compose: dict[str, Any], manifests):
    a = contained(SETTINGS[0]).addresses
    airflow, metrics = compose["services"]["airflow"], compose["services"]["metrics"]
    assert airflow["ports"] == [f"127.0.0.1:{a.port('airflow')}:{a.port('airflow')}"]
    assert str(a.port("airflow")) in airflow["command"]
    assert [int(port.rpartition(":")[2]) for port in metrics["ports"]] == [a.port("prometheus"), a.port("alertmanager")]
    assert compose["services"]["pulse"]["network_mode"] == "service:airflow"
    (monitoring,) = [m for _, m in manifests if m["kind"] == "Service" and m["metadata"]["name"] == "monitoring"]
    assert [p["port"] for p in monitoring["spec"]["ports"]] == [a.port("prometheus"), a.port("alertmanager")]
    values = yaml.safe_load((DOCKER / "kubernetes/airflow-values.yaml").read_text())
    assert values["ports"]["apiServer"] == a.port("airflow")
    assert f"--port {a.port('airflow')}" in values["apiServer"]["args"][-1]
    assert [c["name"] for c in values["apiServer"]["extraContainers"]] == ["pulse"]


def test_airflow_has_the_platforms_settings_with_its_own_address(contained):
    made = script("airflow").settings(contained(SETTINGS[0]), {"HEADRACE_AIRFLOW": "http://airflow:1", "X": "given"})
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow:1/execution/"
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://headrace:")
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@postgres:5432/airflow")
    assert made["X"] == "given"


def _properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_connect_runs_as_the_platform_runs_it(contained, compose: dict[str, Any], manifests):
    """Addresses, folders and replicas aside."""
    own = {"bootstrap.servers", "listeners", "rest.advertised.host.name", "plugin.path"}
    server = connect.server(contained(SETTINGS[0]))
    (text,) = [text for path, text in server.files.items() if path.name == "connect.properties"]
    wanted = {k: v for k, v in _properties(text).items() if k not in own}
    made = {k: v for k, v in _properties(compose["configs"]["connect"]["content"]).items() if k not in own}
    assert made == wanted
    (there,) = [m["spec"] for _, m in manifests if m["kind"] == "KafkaConnect"]
    written = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in there["config"].items()}
    written |= {"group.id": there["groupId"]}
    written |= {f"{n}.storage.topic": there[f"{n}StorageTopic"] for n in ("offset", "config", "status")}
    assert written == wanted


def test_brokers_keep_what_the_platform_relies_on(contained, compose: dict[str, Any], manifests):
    (text,) = [t for p, t in kafka.servers(contained(SETTINGS[0]))[0].files.items() if p.name == "bus.properties"]
    names = ("auto.create.topics.enable", "log.message.timestamp.type", "offsets.retention.minutes")
    names += ("transaction.abort.timed.out.transaction.cleanup.interval.ms",)
    wanted = {name: _properties(text)[name] for name in names}
    broker = compose["services"]["kafka-1"]["environment"]
    assert {n: str(broker[f"KAFKA_{n.upper().replace('.', '_')}"]) for n in names} == wanted
    (there,) = [m["spec"]["kafka"]["config"] for _, m in manifests if m["kind"] == "Kafka"]
    assert {n: str(there[n]).lower() if isinstance(there[n], bool) else str(there[n]) for n in names} == wanted


def test_flink_restarts_and_checkpoints_as_the_platforms_own(contained, compose: dict[str, Any], manifests):
    project = contained(SETTINGS[0])
    (text,) = [t for p, t in flink.servers(project)[0].files.items() if p.name == "config.yaml"]
    mine = re.compile(
        r"restart-strategy|heartbeat|execution\.checkpointing\.(?!dir|savepoint-dir)|state\.|table\.local"
    )
    wanted = {k: str(v).lower() for k, v in yaml.safe_load(text).items() if mine.match(k)}
    assert len(wanted) > 14
    listed = yaml.safe_load(compose["services"]["flink"]["environment"]["FLINK_PROPERTIES"])
    (there,) = [m["spec"]["flinkConfiguration"] for _, m in manifests if m["kind"] == "FlinkDeployment"]
    for made in (listed, there):
        assert {k: str(v).lower() for k, v in made.items() if mine.match(k)} == wanted


def test_spark_commits_to_the_lake_as_on_one_machine():
    words = (line.split() for line in (DOCKER / "spark" / "spark-defaults.conf").read_text().splitlines())
    given = {pair[0]: pair[1] for pair in words if len(pair) == 2}
    assert given["spark.delta.logStore.s3.impl"] == storage.LOG_STORE
    assert ".jars/s3 " in (DOCKER / "Dockerfile").read_text()
