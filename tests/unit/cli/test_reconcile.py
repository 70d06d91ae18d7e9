"""`headrace reconcile` without servers: which names it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = {
    "headrace.yml": "name: site\n",
    "lake/sources/site.yml": "kind: events\ntables: {clicks: events.clicks}\n",
    "schemas/clicks.yaml": "schema:\n  - name: clicks\n    properties:\n"
    "      - {name: id, logicalType: integer, primaryKey: true}\n",
    "jobs/batch/clicks_by_id.sql": "-- live: true\nSELECT id, COUNT(*) AS n FROM clicks GROUP BY id",
    "jobs/batch/all_clicks.sql": "SELECT COUNT(*) AS n FROM clicks",
    "jobs/batch/broken.sql": "-- live: perhaps\nSELECT id FROM clicks",
    "jobs/stream/many_clicks.sql": "-- key: id\nSELECT id FROM clicks_changes",
}


@pytest.fixture
def headrace(tmp_path: Path):
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from headrace.cli import main; main()"
        command = [sys.executable, "-c", code, "reconcile", *arguments, "-C", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    return run


@pytest.mark.parametrize("name", ["all_clicks", "many_clicks"])
def test_only_a_live_view_has_two_layers(headrace, name: str) -> None:
    done = headrace(name)
    assert done.returncode == 1
    assert f"'{name}' is not a live view: it has one layer" in done.stderr
    assert "hint: there is: clicks_by_id" in done.stderr


def test_names_that_are_no_views(headrace) -> None:
    assert "did you mean 'clicks_by_id'?" in headrace("click_by_id").stderr
    broken = headrace("broken", "--repair")
    assert broken.returncode == 1
    assert "broken.sql:1" in broken.stderr
