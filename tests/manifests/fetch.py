"""Brings the operators' definitions into a folder, each at its release: python -m tests.manifests.fetch FOLDER"""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

RELEASES = {"strimzi": "1.0.1", "flink": "release-1.15.0", "spark": "1.0.0", "airflow": "helm-chart/1.18.0"}
_RAW = "https://raw.githubusercontent.com"
_STRIMZI = f"{_RAW}/strimzi/strimzi-kafka-operator/{RELEASES['strimzi']}/install/cluster-operator"
_FLINK = f"{_RAW}/apache/flink-kubernetes-operator/{RELEASES['flink']}/helm/flink-kubernetes-operator/crds"
_SPARK = f"{_RAW}/apache/spark-kubernetes-operator/{RELEASES['spark']}/build-tools/helm/spark-kubernetes-operator/crds"
ADDRESSES = (
    f"{_STRIMZI}/040-Crd-kafka.yaml",
    f"{_STRIMZI}/041-Crd-kafkaconnect.yaml",
    f"{_STRIMZI}/045-Crd-kafkanodepool.yaml",
    f"{_FLINK}/flinkdeployments.flink.apache.org-v1.yml",
    f"{_SPARK}/sparkclusters.spark.apache.org-v1.yaml",
    f"{_RAW}/apache/airflow/{RELEASES['airflow']}/chart/values.schema.json",
)


def main(folder: Path) -> None:
    """Fetches what is not there; a file is there as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for address in ADDRESSES:
        path = folder / address.rpartition("/")[2]
        if not path.exists():
            with urllib.request.urlopen(address, timeout=60) as answer:
                path.with_suffix(".part").write_bytes(answer.read())
            path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
