"""What the tests of docker/ share: its files as data, and the project as a container has it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.project import Project, load

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"
KUBERNETES = DOCKER / "kubernetes"


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """The compose file, its anchors resolved."""
    return yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def manifests() -> list[tuple[str, dict[str, Any]]]:
    """(file name, object) of everything that docker/kubernetes/kustomization.yaml names."""
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    return [
        (name, found) for name in named for found in yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="session")
def versions() -> dict[str, str]:
    """Artifact or package → its version where the project itself says it: the list of jars, and pyproject.toml."""
    found = {}
    for pom in (ROOT / "headrace/local/jars").glob("*.xml"):
        text = pom.read_text(encoding="utf-8")
        found |= dict(re.findall(r"<artifactId>([^<]+)</artifactId><version>([^<]+)</version>", text))
    pins = re.findall(r'"([\w-]+)(?:\[\w+\])?==([\w.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found | dict(pins)


@pytest.fixture
def contained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Project]:
    """The project as the Dockerfile's stage `platform` puts it together, with the given headrace.yml."""

    def make(settings: Path) -> Project:
        root = tmp_path / settings.parent.name
        for folder in ("schemas", "jobs", "dags", "lake/sources"):
            shutil.copytree(ROOT / folder, root / folder)
        shutil.copytree(DOCKER / "sources", root / "lake/sources", dirs_exist_ok=True)
        shutil.copy(settings, root / "headrace.yml")
        for name in ("SERVING", "READER", "AIRFLOW"):
            monkeypatch.setenv(f"HEADRACE_{name}_PASSWORD", f"{name.lower()}-secret")
        for name in ("AIRFLOW_SECRET", "AIRFLOW_FERNET"):
            monkeypatch.setenv(f"HEADRACE_{name}", "secret")
        for name in ("ORDERS", "PAYMENTS", "REVIEWS", "AREAS"):
            monkeypatch.setenv(f"{name}_PASSWORD", "secret")
        return load(root)

    return make
