"""A project with local sources, without any server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.local import secrets
from headrace.project import Project, load

SOURCE = """kind: {0}
connection: {{local: true}}
tables: {{{1}: {{from: {2}}}}}
"""
CONTRACT = """kind: DataContract
apiVersion: v3.0.2
id: {0}
version: 1.0.0
schema:
  - name: {0}
    properties:
      - {{name: id, logicalType: integer, required: true, primaryKey: true}}
"""


@pytest.fixture
def local_project(tmp_path: Path) -> Callable[..., Project]:
    """Makes a project with a PostgreSQL and a MariaDB source of its own; `settings` are more lines of headrace.yml."""

    def make(settings: str = "") -> Project:
        root = tmp_path / "project"
        files = {
            "headrace.yml": f"name: trial\n{settings}",
            "lake/sources/shop.yml": SOURCE.format("postgresql", "visits", "public.visits"),
            "lake/sources/till.yml": SOURCE.format("mariadb", "sales", "till.sales"),
            "schemas/visits.yaml": CONTRACT.format("visits"),
            "schemas/sales.yaml": CONTRACT.format("sales"),
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        project = load(root)
        assert not project.problems
        secrets.ensure(project)
        return project

    return make
