"""The manifests: Kubernetes' own kinds strictly by its schemas; what they name is there; versions are the project's."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

KUBERNETES = Path(__file__).parents[3] / "docker/kubernetes"
RELEASE = "1.34.0"
OWN = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1")
Manifests = list[tuple[str, dict[str, Any]]]


def mistakes(manifests: Manifests) -> list[str]:
    """What the schemas refuse, and what is named and not there."""
    found = []
    claims = {m["metadata"]["name"] for _, m in manifests if m["kind"] == "PersistentVolumeClaim"}
    for file, thing in manifests:
        name = f"{file}: {thing['kind']} {thing['metadata']['name']}"
        if thing["apiVersion"] in OWN:
            try:
                kubernetes_validate.validate(thing, RELEASE, strict=True)
            except kubernetes_validate.ValidationError as error:
                found.append(f"{name}: {error.message[:200]}")
        for pod in _pods(thing):
            found += [f"{name}: {what}" for what in _pod(pod, claims)]
        if thing["kind"] != "Namespace" and thing["metadata"].get("namespace") != "headrace":
            found.append(f"{name}: is in no namespace")
    return found


def _pods(thing: dict[str, Any]) -> list[dict[str, Any]]:
    return [thing["spec"]["template"]["spec"]] if thing["kind"] in {"Deployment", "Job"} else []


def _pod(pod: dict[str, Any], claims: set[str]) -> list[str]:
    found = [] if pod["securityContext"].get("runAsNonRoot") else ["may be root"]
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    for volume in pod.get("volumes", ()):
        if volume.get("persistentVolumeClaim", {}).get("claimName", next(iter(claims))) not in claims:
            found.append(f"there is no claim for {volume['name']}")
        if volume.get("configMap", {}).get("name", "headrace-settings") != "headrace-settings":
            found.append(f"there is no ConfigMap for {volume['name']}")
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        if container.get("securityContext", {}).get("allowPrivilegeEscalation") is not False:
            found.append(f"{container['name']} may get more rights")
        if not {"cpu", "memory"} <= set(container.get("resources", {}).get("requests", ())):
            found.append(f"{container['name']} asks for no resources")
        if not re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", container["image"]):
            found.append(f"{container['name']}: its image has no tag of its own")
        found += [f"no volume {m['name']}" for m in container.get("volumeMounts", ()) if m["name"] not in volumes]
        for variable in container.get("env", ()):
            if re.search("PASSWORD|SECRET|KEY", variable["name"]) and "value" in variable:
                found.append(f"{variable['name']} stands in the file")
    return found


def test_the_manifests_keep_the_schemas_and_every_promise(manifests: Manifests):
    assert len(manifests) > 20
    assert mistakes(manifests) == []


def test_every_file_is_named(manifests: Manifests):
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    named = {*kustomization["resources"], *kustomization["configMapGenerator"][0]["files"]}
    named |= {"kustomization.yaml", "airflow-values.yaml"}
    assert {path.name for path in KUBERNETES.iterdir()} == named


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        (("spec", "replica"), 2, "replica"),
        (("spec", "replicas"), "two", "two"),
        (("spec", "template", "spec", "containers", 0, "imagee"), "x", "imagee"),
        (("spec", "template", "spec", "containers", 0, "image"), "headrace/platform:latest", "no tag"),
        (("spec", "template", "spec", "containers", 0, "resources"), {}, "no resources"),
        (("spec", "template", "spec", "containers", 0, "securityContext"), {}, "more rights"),
        (("spec", "template", "spec", "containers", 0, "env"), [{"name": "A_PASSWORD", "value": "x"}], "stands in"),
        (("spec", "template", "spec", "securityContext"), {}, "may be root"),
        (("spec", "template", "spec", "volumes"), [], "no volume state"),
        (("metadata", "namespace"), "other", "in no namespace"),
    ],
)
def test_each_mistake_is_found(manifests: Manifests, where: tuple[Any, ...], value: Any, expected: str):
    broken = copy.deepcopy(manifests)
    (place,) = [m for _, m in broken if m["kind"] == "Deployment" and m["metadata"]["name"] == "landing"]
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    assert any(expected in mistake for mistake in mistakes(broken)), mistakes(broken)


def test_workers_and_brokers_are_more_than_one(manifests: Manifests):
    there = {(m["kind"], m["metadata"]["name"]): m["spec"] for _, m in manifests if "spec" in m}
    assert there[("Deployment", "landing")]["replicas"] == 2
    assert there[("PodDisruptionBudget", "landing")]["minAvailable"] == 1
    assert there[("KafkaNodePool", "broker")]["replicas"] == 3
    assert there[("Kafka", "bus")]["kafka"]["config"]["min.insync.replicas"] == 2
    assert there[("KafkaConnect", "bus")]["replicas"] == 2
    assert there[("FlinkDeployment", "flink")]["taskManager"]["replicas"] == 2
    assert there[("SparkCluster", "spark")]["clusterTolerations"]["instanceConfig"]["initWorkers"] == 2


def test_selectors_find_their_pods(manifests: Manifests):
    labels = [m["spec"]["template"]["metadata"]["labels"] for _, m in manifests if m["kind"] in {"Deployment", "Job"}]
    for _, thing in manifests:
        selector = thing.get("spec", {}).get("selector")
        if selector and thing["kind"] in {"Service", "Deployment", "PodDisruptionBudget"}:
            wanted = selector.get("matchLabels", selector).items()
            assert any(wanted <= found.items() for found in labels), thing["metadata"]["name"]


def test_versions_are_the_projects(manifests: Manifests, versions: dict[str, str]):
    there = {m["kind"]: m["spec"] for _, m in manifests if "spec" in m}
    assert there["Kafka"]["kafka"]["version"] == there["KafkaConnect"]["version"] == versions["kafka_2.13"]
    short = "v" + "_".join(versions["apache-flink"].split(".")[:2])
    assert there["FlinkDeployment"]["flinkVersion"] == short
    assert there["SparkCluster"]["runtimeVersions"]["sparkVersion"] == versions["pyspark"]
    values = yaml.safe_load((KUBERNETES / "airflow-values.yaml").read_text(encoding="utf-8"))
    assert values["airflowVersion"] == versions["apache-airflow"]


def test_every_secret_comes_from_the_secret_that_the_readme_makes(manifests: Manifests):
    told = (KUBERNETES.parent / "README.md").read_text(encoding="utf-8")
    text = "\n".join(yaml.safe_dump(thing) for _, thing in manifests)
    keys = set(re.findall(r"key: ([A-Z_]+)\n\s+name: headrace", text))
    assert {"ORDERS_PASSWORD", "PAYMENTS_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= keys
    assert {key for key in keys if key not in told} == set()
    compose = (KUBERNETES.parent / "compose.yml").read_text(encoding="utf-8")
    assert {key for key in re.findall(r"\$\{(\w+):\?", compose) if key not in told} == set()
