"""`headrace history` and `query --lake --as-of` without servers: what needs only the lake's files."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.lake import landing, rows
from headrace.project import load

ROOT = Path(__file__).parents[3]
FILES = {
    "headrace.yml": "name: site\n",
    "lake/sources/site.yml": "kind: events\ntables: {clicks: events.clicks}\n",
    "schemas/clicks.yaml": "schema:\n  - name: clicks\n    properties:\n"
    "      - {name: id, logicalType: integer, primaryKey: true}\n",
    "jobs/stream/many_clicks.sql": "-- key: id\nSELECT id FROM clicks_changes",
}


@pytest.fixture
def headrace(tmp_path: Path):
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    handle = landing.open_landing(load(tmp_path), "clicks", "topic", 1)
    now = datetime.now(UTC)
    row = {"op": "c", "partition": 0, "appended_at": now, "landed_at": now, "landing_date": now.date()}
    for offset in range(3):
        data = pa.Table.from_pylist([row | {"offset": offset}], schema=rows.LANDING)
        landing.append(handle, data, "topic", {0: (offset, offset + 1)})

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from headrace.cli import main; main()", *arguments, "-C", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    return run


def test_commits_of_a_table(headrace) -> None:
    found = json.loads(headrace("history", "clicks", "--limit", "2", "--format", "json").stdout)
    assert [(r["table"], r["version"], r["rows"], r["what"], r["positions"]) for r in found] == [
        ("landing.clicks", 3, 1, "landing worker", {"0": 3}),
        ("landing.clicks", 2, 1, "landing worker", {"0": 2}),
    ]
    shown = headrace("history", "landing.clicks").stdout
    assert "landing worker" in shown
    assert "0:3" in shown
    assert "CREATE TABLE" in shown


def test_a_version_that_history_lists_can_be_asked(headrace) -> None:
    count = "SELECT count(*) AS n FROM landing.clicks"
    assert json.loads(headrace("query", "--lake", "--as-of", "2", "--format", "json", count).stdout) == [{"n": 2}]
    refused = headrace("query", "--as-of", "2", count)
    assert refused.returncode == 1
    assert "--as-of asks the lake" in refused.stderr


def test_names_that_have_no_history(headrace) -> None:
    for name, said in (
        ("click", "did you mean 'clicks'?"),
        ("batch.clicks", "did you mean"),
        ("many_clicks", "an alert view keeps no versions"),
    ):
        done = headrace("history", name)
        assert done.returncode == 1
        assert f"there is no history of '{name}'" in done.stderr
        assert said in done.stderr
    assert headrace("history", "quarantine.clicks", "--format", "json").stdout == "[]\n"
