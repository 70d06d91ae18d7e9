"""A small project: two sources, one of them pulled; three batch views, of which one reads another; one stream job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.project import Project, load

CONTRACT = """kind: DataContract
apiVersion: v3.0.2
id: {table}
version: 1.0.0
schema:
  - name: {table}
    properties:
      - {{name: id, logicalType: integer, required: true, primaryKey: true}}
      - {{name: amount, logicalType: integer}}
"""
FILES = {
    "headrace.yml": "name: clinic\n",
    "lake/sources/ward.yml": """kind: postgresql
connection: {local: true}
tables: {visits: {from: public.visits}, beds: {from: public.beds}}
""",
    "lake/sources/lists.yml": """kind: files
connection: {path: lists}
schedule: '@daily'
tables: {tariffs: {from: '*.csv'}}
""",
    "jobs/batch/visits_per_bed.sql": """-- Visits per bed.
-- owner: ward
SELECT id, COUNT(*) AS visits FROM visits GROUP BY id
""",
    "jobs/batch/busiest_bed.sql": """-- The busiest bed.
SELECT * FROM visits_per_bed JOIN beds USING (id) ORDER BY visits LIMIT 1
""",
    "jobs/batch/tariffs_now.sql": """-- Tariffs.
-- schedule: @hourly
SELECT * FROM tariffs
""",
    "jobs/stream/dear_visit.sql": """-- A dear visit.
-- key: id
SELECT id, amount FROM visits_changes WHERE amount > 100
""",
} | {f"schemas/{table}.yaml": CONTRACT.format(table=table) for table in ("visits", "beds", "tariffs")}


@pytest.fixture
def clinic(tmp_path: Path) -> Callable[..., Project]:
    """Writes the project, with the given files changed or added, and loads it."""

    def make(**changed: str) -> Project:
        for path, text in (FILES | changed).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return load(tmp_path)

    return make
