"""A small project with a table of changes and a table of events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.project import Job, Project, load

VISITS = """kind: DataContract
apiVersion: v3.0.2
id: visits
version: 1.0.0
schema:
  - name: visits
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
      - {name: fee, logicalType: number, physicalType: "decimal(8,2)", required: true}
      - {name: note, logicalType: string}
      - {name: day, logicalType: date}
      - {name: seen_at, logicalType: timestamp, required: true}
customProperties:
  - {property: eventTime, value: seen_at}
  - {property: disorder, value: 90s}
"""
CALLS = """kind: DataContract
apiVersion: v3.0.2
id: calls
version: 1.0.0
schema:
  - name: calls
    properties:
      - {name: event_id, logicalType: string, required: true, primaryKey: true}
      - {name: urgent, logicalType: boolean, required: true}
customProperties:
  - {property: eventId, value: event_id}
  - {property: duplicateHorizon, value: 2h}
"""
FILES = {
    "headrace.yml": "name: clinic\nbus: bus:9092\n",
    "schemas/visits.yaml": VISITS,
    "schemas/calls.yaml": CALLS,
    "lake/sources/desk.yml": "kind: postgresql\nconnection: {local: true}\ntables: {visits: public.visits}\n",
    "lake/sources/phone.yml": "kind: events\ntables: {calls: events.calls}\n",
}


@pytest.fixture
def clinic(tmp_path: Path) -> Project:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return load(tmp_path)


@pytest.fixture
def make_job(clinic: Project) -> Callable[..., Job]:
    """Writes a stream job into the project and reads it back."""

    def make(text: str, name: str = "dear_visit", suffix: str = ".sql") -> Job:
        path = clinic.root / "jobs" / "stream" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return load(clinic.root).job(name, "stream")

    return make
