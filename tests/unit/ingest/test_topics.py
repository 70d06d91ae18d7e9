"""What topics are asked for."""

from __future__ import annotations

import pytest
import yaml

from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.project import load

CONTRACT = """kind: DataContract
apiVersion: v3.0.2
id: rooms
version: 1.0.0
schema:
  - name: rooms
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
"""


@pytest.fixture
def kept(tmp_path):
    """kept(days): the retention of a table's topic in ms, as text."""
    files = {"lake/sources/web.yml": "kind: events\ntables: {rooms: rooms}\n", "schemas/rooms.yaml": CONTRACT}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def found(days: object) -> str:
        (tmp_path / "headrace.yml").write_text(yaml.safe_dump({"name": "hotel", "retention_days": days}))
        project = load(tmp_path)
        return topics.wanted(project)["rooms"][1]["retention.ms"]

    return found


def test_changes_are_kept_for_ever_or_for_so_many_days(kept):
    assert kept(None) == "-1"
    assert kept(7) == str(7 * 24 * 3600 * 1000)
    with pytest.raises(HeadraceError, match="retention_days"):
        kept(0)
