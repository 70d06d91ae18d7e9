"""`headrace source schema` without servers: what the lake alone tells of a table's columns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from headrace.lake import landing, observed
from headrace.project import Column, load
from headrace.project.observed import Added, Observed

ROOT = Path(__file__).parents[3]
FILES = {
    "headrace.yml": "name: drift\n",
    "lake/sources/web.yml": "kind: events\ntables: {clicks: clicks}\n",
    "lake/sources/shop.yml": "kind: postgresql\nconnection: {url: 'postgresql://u@127.0.0.1:9/x'}\n"
    "tables: {carts: public.carts}\n",
} | {
    f"schemas/{table}.yaml": f"schema:\n  - name: {table}\n    properties:\n"
    "      - {name: id, logicalType: integer, primaryKey: true}\n"
    for table in ("clicks", "carts")
}


def headrace(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from headrace.cli import main; main()"
    command = [sys.executable, "-c", code, "source", "schema", *arguments, "-C", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_columns_that_came_are_listed_with_the_contracts_line_and_a_source_that_is_away_is_named(
    tmp_path: Path,
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    project = load(tmp_path)
    assert not project.problems
    page = Added(Column("page", "string"), "clicks/0/4", "2026-01-01T00:00:00+00:00")
    seen = Observed(("id",), (0, "x"), {"page": page})
    observed.record(landing.open_landing(project, "clicks", "topic", 1), seen)
    done = headrace(tmp_path, "web", "--format", "json")
    assert json.loads(done.stdout) == [
        {
            "source": "web",
            "table": "clicks",
            "column": "page",
            "change": "new column",
            "since": "clicks/0/4 2026-01-01T00:00:00",
            "effect": "shown in the lake; alerts don't see it",
            "contract": "- {name: page, logicalType: string}",
        }
    ], done.stderr
    both = headrace(tmp_path)
    assert both.returncode == 1
    assert "page" in both.stdout
    assert "source 'shop' can't be reached" in both.stderr
