"""`headrace check` as a person and a program see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def headrace(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from headrace.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True)


def shop(root: Path) -> Path:
    files = {
        "headrace.yml": "name: shop\n",
        "lake/sources/shop.yml": "kind: mariadb\nconnection: {local: true}\ntables: {sales: shop.sales}\n",
        "schemas/sales.yaml": "schema:\n- name: sales\n  properties:\n"
        "  - {name: id, logicalType: integer, primaryKey: true}\n",
        "jobs/batch/count.sql": "SELECT COUNT(*) AS n FROM sales\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_all_is_well(tmp_path: Path):
    done = headrace("check", cwd=shop(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "shop: all is well (1 source, 1 table, 1 batch view, 0 stream jobs)\n"


def test_mistakes_go_to_stderr_and_exit_with_1(tmp_path: Path):
    root = shop(tmp_path)
    (root / "jobs/batch/count.sql").write_text("SELECT COUNT(*) AS n FROM sale\n")
    (root / "jobs/batch/newest.sql").write_text("-- schedule: @dayly\nSELECT MAX(idd) AS id FROM sales\n")
    done = headrace("check", cwd=root)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == """\
jobs/batch/count.sql:1
    1 | SELECT COUNT(*) AS n FROM sale
                                  ^
  count reads 'sale', which is not there
  hint: did you mean 'sales'?
jobs/batch/newest.sql:1
    1 | -- schedule: @dayly
                     ^
  no such schedule '@dayly'
  hint: did you mean '@daily'?

2 mistakes in 2 files
"""
    )


def test_json_from_another_folder(tmp_path: Path):
    root = shop(tmp_path / "shop")
    (root / "jobs/batch/count.sql").write_text("SELECT COUNT(*) AS n FROM sale\n")
    for arguments in (("-C", "shop", "check", "--format", "json"), ("check", "--format=json", "-C", "shop")):
        done = headrace(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "")
        assert json.loads(done.stdout) == [
            {
                "file": "jobs/batch/count.sql",
                "line": 1,
                "column": 27,
                "message": "count reads 'sale', which is not there",
                "hint": "did you mean 'sales'?",
            }
        ]
    done = headrace("-C", "shop", "check", "--format", "csv", cwd=tmp_path)
    assert done.stdout == (
        "file,line,column,message,hint\n"
        "jobs/batch/count.sql,1,27,\"count reads 'sale', which is not there\",did you mean 'sales'?\n"
    )
    (root / "jobs/batch/count.sql").unlink()
    assert json.loads(headrace("check", "--format", "json", cwd=root / "jobs").stdout) == []


def test_a_broken_headrace_yml_hides_nothing(tmp_path: Path):
    root = shop(tmp_path)
    (root / "headrace.yml").write_text("nmae: shop\n")
    (root / "jobs/batch/count.sql").write_text("SELECT 1")
    done = headrace("check", "--format", "json", cwd=root)
    assert [(row["file"], row["line"]) for row in json.loads(done.stdout)] == [
        ("headrace.yml", 1),
        ("headrace.yml", 1),
        ("jobs/batch/count.sql", 1),
    ]


def test_no_project_here(tmp_path: Path):
    done = headrace("check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"  no headrace.yml in {tmp_path} or above it\n  hint: headrace init DIR   makes a new project\n"
    )


def test_the_example_is_well():
    done = headrace("check", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("food-delivery: all is well (8 sources, 16 tables, ")
