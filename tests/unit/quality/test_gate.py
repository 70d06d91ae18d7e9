"""The gate before publishing, as far as it needs no server."""

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.quality import gate

ROOT = Path(__file__).parents[3]
FILES = {
    "headrace.yml": "name: site\n",
    "lake/sources/site.yml": "kind: postgresql\nconnection: {local: true}\ntables: {visits: public.visits}\n",
    "schemas/visits.yaml": """\
schema:
  - name: visits
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0, severity: SEVERITY}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
""",
    "jobs/batch/views.sql": "SELECT COUNT(*) AS n FROM visits\n",
}


def project(folder: Path, severity: str):
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.replace("SEVERITY", severity))
    return load(folder)


def test_a_gate_without_blocking_checks_opens_nothing(tmp_path):
    # No server is there to answer, no table on the lake: a gate that looked for one would raise.
    found = project(tmp_path, "warning")
    gate.inputs(found, found.job("views"), {"visits": f"{tmp_path}/nothing@7"})
    gate.result(found, found.job("views"), f"{tmp_path}/nothing", 7)


def test_a_table_that_never_landed_has_no_rows(tmp_path):
    found = project(tmp_path, "error")
    with pytest.raises(HeadraceError) as error:
        gate.inputs(found, found.job("views"), {"visits": f"{tmp_path}/nothing@None"})
    first, second = error.value.problems
    assert first.message == "views was not published, its readers keep the old rows: a blocking check failed"
    assert second.message == "visits: 'rowCount' failed: nothing has landed yet"
    assert str(second.place).endswith("schemas/visits.yaml:4")


def test_great_expectations_is_imported_by_no_run_without_checks():
    code = "import sys, headrace.batch.run, headrace.audit.quality; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "great_expectations" not in done.stdout.split()
