"""The manifests of operators' kinds, by the schema in each kind's definition; an unknown field is a mistake."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

KUBERNETES = Path(__file__).parents[2] / "docker/kubernetes"
FOLDER = Path(os.environ.get("HEADRACE_CRDS", "/nonexistent"))
CUSTOM = ("kafka.strimzi.io/", "flink.apache.org/", "spark.apache.org/")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="make manifests   fetches the operators' definitions")


def resources() -> list[dict[str, Any]]:
    found = [d for f in sorted(KUBERNETES.glob("*.yaml")) for d in yaml.safe_load_all(f.read_text(encoding="utf-8"))]
    return [d for d in found if d.get("apiVersion", "").startswith(CUSTOM)]


def definitions() -> dict[tuple[str, str], dict[str, Any]]:
    """(apiVersion, kind) → schema."""
    found = {}
    for path in FOLDER.glob("*.y*ml"):
        for crd in yaml.load_all(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            for version in crd["spec"]["versions"] if crd and crd.get("kind") == "CustomResourceDefinition" else ():
                key = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
                found[key] = version["schema"]["openAPIV3Schema"]
    return found


def strict(schema: Any) -> Any:
    """The schema with no other properties than those it lists; a cluster would drop them without a word."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    listed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if listed and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


def mistakes(thing: dict[str, Any], known: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
    schema = known.get((thing["apiVersion"], thing["kind"]))
    if schema is None:
        return [f"nobody knows {thing['apiVersion']} {thing['kind']}"]
    schema = copy.deepcopy(schema)
    schema["properties"] |= {"metadata": {"type": "object"}, "kind": {}, "apiVersion": {}}
    return [f"{e.json_path}: {e.message[:200]}" for e in Draft7Validator(strict(schema)).iter_errors(thing)]


def test_every_custom_resource_keeps_its_definition():
    known, there = definitions(), resources()
    assert {d["kind"] for d in there} == {"Kafka", "KafkaNodePool", "KafkaConnect", "FlinkDeployment", "SparkCluster"}
    assert {d["kind"]: found for d in there if (found := mistakes(d, known))} == {}


@pytest.mark.parametrize(
    ("kind", "where", "value"),
    [
        ("Kafka", ("spec", "kafka", "listeners", 0, "type"), "inside"),
        ("Kafka", ("spec", "kafka", "listener"), []),
        ("KafkaNodePool", ("spec", "replicas"), "three"),
        ("KafkaNodePool", ("spec", "roles"), ["worker"]),
        ("KafkaConnect", ("spec", "groupID"), "x"),
        ("FlinkDeployment", ("spec", "flinkVersion"), "v9_9"),
        ("FlinkDeployment", ("spec", "taskManager", "slots"), 4),
        ("SparkCluster", ("spec", "clusterTolerations", "instanceConfig", "initWorkers"), "two"),
        ("SparkCluster", ("spec", "sparkconf"), {}),
        ("SparkCluster", ("apiVersion",), "spark.apache.org/v0"),
    ],
)
def test_each_mistake_is_found(kind: str, where: tuple[Any, ...], value: Any):
    (broken,) = [copy.deepcopy(d) for d in resources() if d["kind"] == kind]
    place: Any = broken
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    assert mistakes(broken, definitions())


def test_airflows_chart_takes_the_values():
    path = FOLDER / "values.schema.json"
    if not path.exists():
        pytest.skip(f"{path.name} of Airflow's chart is not in the folder")
    values = yaml.safe_load((KUBERNETES / "airflow-values.yaml").read_text(encoding="utf-8"))
    validator = Draft7Validator(json.loads(path.read_text(encoding="utf-8")))
    assert [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(values)] == []
    assert list(validator.iter_errors(values | {"ports": {"apiServer": "22012?"}}))
