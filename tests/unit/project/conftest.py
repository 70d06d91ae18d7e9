"""A small project of other words than the example's, to break in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.project import inspect

FILES = {
    "headrace.yml": "name: site\n",
    "lake/sources/site.yml": """\
kind: postgresql
connection: {local: true}
tables:
  visits: public.visits
  pages: public.pages
""",
    "lake/sources/web.yml": "kind: events\ntables:\n  clicks: events.clicks\n",
    "schemas/visits.yaml": """\
version: 1.0.0
schema:
  - name: visits
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: page_id, logicalType: integer, required: true}
      - {name: seconds, logicalType: number, physicalType: "decimal(8,2)"}
      - {name: began_at, logicalType: timestamp, required: true}
customProperties:
  - {property: eventTime, value: began_at}
""",
    "schemas/pages.yaml": """\
schema:
  - name: pages
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: address, logicalType: string, required: true}
""",
    "schemas/clicks.yaml": """\
schema:
  - name: clicks
    properties:
      - {name: click_id, logicalType: string, primaryKey: true}
      - {name: page_id, logicalType: integer, required: true}
      - {name: happened_at, logicalType: timestamp, required: true}
customProperties:
  - {property: eventTime, value: happened_at}
  - {property: eventId, value: click_id}
""",
    "jobs/batch/visits_per_page.sql": """\
-- Visits of each page.
-- owner: editors
SELECT p.address, COUNT(*) AS visits FROM visits v JOIN pages p ON p.id = v.page_id GROUP BY p.address
""",
    "jobs/stream/long_visit.sql": """\
-- key: id
SELECT id, page_id, seconds FROM visits_changes WHERE seconds > 600
""",
}


class Folder:
    """A project on disk that a test changes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def mistakes(self) -> str:
        """What `headrace check` prints about it."""
        return "\n".join(problem.render(self.root) for problem in inspect(self.root)[1])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder((tmp_path / "site").resolve())
    for path, text in FILES.items():
        made.write(path, text)
    return made


@pytest.fixture
def query(folder: Folder) -> Callable[[str], str]:
    """The mistakes of the project when its batch view is this query."""

    def mistakes(sql: str) -> str:
        folder.write("jobs/batch/visits_per_page.sql", sql)
        return folder.mistakes()

    return mistakes
