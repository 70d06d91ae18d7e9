"""`headrace add source` as a person types it: from an empty project to one that `check` accepts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def headrace(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from headrace.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True)


def test_from_an_empty_project_to_one_that_check_accepts(tmp_path: Path) -> None:
    (tmp_path / "headrace.yml").write_text("name: site\n")
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/first.csv").write_text("id,email,updated_at\n1,a@b,2026-01-01T00:00:00Z\n")
    shown = headrace("add", "source", "visits", "./drop", "--dry-run", cwd=tmp_path)
    assert "--- schemas/visits.yaml\n# Proposed from *.csv of the source visits" in shown.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drop", "headrace.yml"]
    done = headrace("add", "source", "visits", "./drop", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "  lake/sources/visits.yml  files, 1 table\n"
        "  schemas/visits.yaml      3 columns, key id; taken to be personal: email\n"
        "\nRead the contracts through. Next:\n\n"
        "  headrace check     every mistake in every file, without starting anything\n"
        "  headrace up        start what the source needs; its rows begin to land\n"
    )
    assert headrace("check", cwd=tmp_path).stdout == (
        "site: all is well (1 source, 1 table, 0 batch views, 0 stream jobs)\n"
    )
    again = headrace("add", "source", "visits", "./drop", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "lake/sources/visits.yml\n  this file is there already\n  hint: --force writes it anew\n"
    dry = headrace("add", "source", "visits", "./drop", "--dry-run", cwd=tmp_path)
    assert dry.stdout.count("is there already: needs --force") == 2
    other = headrace("add", "source", "more", "./drop", "--table", "more", cwd=tmp_path)
    assert "schemas/more.yaml" in other.stdout, other.stderr
