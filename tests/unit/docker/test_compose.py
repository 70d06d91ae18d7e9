"""The compose file: valid by the Compose specification, and what it promises holds for every service in it."""

from __future__ import annotations

import copy
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

DOCKER = Path(__file__).parents[3] / "docker"
SCHEMA = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text("utf-8"))
NEEDED = r"\$\{\w+:\?[^}]+\}"  # ${NAME:?why}: compose ends with the reason where it is not set


def mistakes(compose: dict[str, Any]) -> list[str]:
    """What the specification's schema finds, and what breaks a promise of the README."""
    found = [e.json_path + ": " + e.message[:200] for e in Draft202012Validator(SCHEMA).iter_errors(compose)]
    services, volumes, configs = compose["services"], compose.get("volumes", {}), compose.get("configs", {})
    for name, service in services.items():
        found += [f"{name}: {what}" for what in _service(service, services, volumes, configs)]
    return found


def _service(service: dict[str, Any], services: dict, volumes: dict, configs: dict) -> list[str]:
    found = []
    once = str(service.get("restart", "")).startswith("on-failure")
    for port in service.get("ports", ()):
        if not str(port).startswith("127.0.0.1:"):
            found.append(f"port {port} is not on loopback")
    if service.get("restart") != "unless-stopped" and not once:
        found.append("is not started again")
    if "healthcheck" not in service and not once:
        found.append("nobody knows whether it answers")
    if not {"cpus", "memory"} <= set(service.get("deploy", {}).get("resources", {}).get("limits", {})):
        found.append("has no limits")
    if not re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", service.get("image", "")):
        found.append("its image has no tag of its own")
    for key, value in service.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|FERNET|KEY|AUTH$", key) and not re.search(NEEDED, str(value)):
            found += [f"{key} stands in the file"] if key != "MARIADB_RANDOM_ROOT_PASSWORD" else []
    found += [f"waits for {other}, which is not there" for other in set(service.get("depends_on", ())) - set(services)]
    shared = service.get("network_mode", "").removeprefix("service:")
    found += [f"shares the network of {shared}, which is not there"] if shared and shared not in services else []
    found += [f"config {c['source']} is not there" for c in service.get("configs", ()) if c["source"] not in configs]
    for mount in service.get("volumes", ()):
        source = mount.split(":")[0]
        if not ((DOCKER / source).exists() if source.startswith(".") else source in volumes):
            found.append(f"volume {source} is not there")
    return found


def test_it_keeps_the_specification_and_every_promise(compose: dict[str, Any]):
    assert mistakes(compose) == []


@pytest.mark.parametrize(
    ("service", "change", "expected"),
    [
        ("postgres", {"ports": ["5432:5432"]}, "not on loopback"),
        ("postgres", {"restart": None}, "not started again"),
        ("postgres", {"healthcheck": None}, "nobody knows"),
        ("postgres", {"deploy": {}}, "no limits"),
        ("postgres", {"image": "postgres:latest"}, "no tag"),
        ("postgres", {"environment": {"POSTGRES_PASSWORD": "postgres"}}, "stands in the file"),
        ("postgres", {"environment": {"POSTGRES_PASSWORD": "${PASSWORD}"}}, "stands in the file"),
        ("postgres", {"volumes": ["lost:/data"]}, "volume lost"),
        ("postgres", {"configs": [{"source": "lost", "target": "/x"}]}, "config lost"),
        ("pulse", {"network_mode": "service:lost"}, "shares the network of lost"),
        ("pulse", {"depends_on": {"lost": {"condition": "service_started"}}}, "waits for lost"),
        ("pulse", {"depends_on": {"setup": {"condition": "service_is_fine"}}}, "$.services.pulse"),
        ("pulse", {"commandd": ["x"]}, "$.services.pulse"),
        ("pulse", {"healthcheck": {"test": ["CMD", "true"], "retries": ["three"]}}, "$.services.pulse"),
    ],
)
def test_each_mistake_is_found(compose: dict[str, Any], service: str, change: dict[str, Any], expected: str):
    broken = copy.deepcopy(compose)
    broken["services"][service] |= change
    broken["services"][service] = {k: v for k, v in broken["services"][service].items() if v is not None}
    assert any(expected in mistake for mistake in mistakes(broken)), mistakes(broken)


def test_it_scales_out_as_the_readme_says(compose: dict[str, Any]):
    names = set(compose["services"])
    assert {"kafka-1", "kafka-2", "kafka-3", "connect-1", "connect-2", "landing-1", "landing-2"} <= names
    assert {"flink-taskmanager-1", "flink-taskmanager-2", "spark-worker-1", "spark-worker-2"} <= names
    for number in "123":
        broker = compose["services"][f"kafka-{number}"]["environment"]
        assert broker["KAFKA_NODE_ID"] == int(number)
        assert (broker["KAFKA_DEFAULT_REPLICATION_FACTOR"], broker["KAFKA_MIN_INSYNC_REPLICAS"]) == (3, 2)
        assert f"{number}@kafka-{number}:9093" in broker["KAFKA_CONTROLLER_QUORUM_VOTERS"]
