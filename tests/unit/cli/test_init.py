"""`headrace init`: what it makes is accepted by `check`, also after a person has changed its names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.project import inspect
from headrace.project.starter_files import STARTER, create, project_name

ROOT = Path(__file__).parents[3]
FILES = """\
  README.md
  dags/mistakes.py
  dags/project.py
  .gitignore
  headrace.yml
  inbox/readings/first.csv
  jobs/batch/temperature_per_day.sql
  jobs/stream/too_hot.sql
  lake/sources/sensors.yml
  schemas/readings.yaml
"""


def headrace(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from headrace.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True)


def test_makes_a_project_that_check_accepts_and_says_what_next(tmp_path: Path):
    done = headrace("init", "My Sensors", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{FILES}\nMy Sensors is a Headrace project. Next:\n\n"
        "  headrace -C 'My Sensors' check     every mistake in every file, without starting anything\n"
        "  headrace -C 'My Sensors' up        start the platform on this machine\n"
        "  headrace -C 'My Sensors' query \"SELECT * FROM batch.temperature_per_day\"\n"
    )
    done = headrace("-C", "My Sensors", "check", cwd=tmp_path)
    assert done.stdout == "my-sensors: all is well (1 source, 1 table, 1 batch view, 1 stream job)\n"


def test_with_other_names_it_is_another_project(tmp_path: Path):
    """Nothing of the starter's or the example's names is baked into the platform."""
    create(tmp_path / "library")
    root = tmp_path / "library"
    for path in [p for p in root.rglob("*") if p.is_file()]:
        text = path.read_text(encoding="utf-8")
        for old, new in (("readings", "loans"), ("sensors", "desk"), ("sensor", "book"), ("temperature", "days")):
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
    (root / "schemas/readings.yaml").rename(root / "schemas/loans.yaml")
    (root / "lake/sources/sensors.yml").rename(root / "lake/sources/desk.yml")
    (root / "jobs/batch/temperature_per_day.sql").rename(root / "jobs/batch/days_per_book.sql")
    project, problems = inspect(root)
    assert problems == ()
    assert [(t.name, t.topic) for t in project.tables.values()] == [("loans", "desk.loans")]
    assert [j.name for j in project.jobs] == ["days_per_book", "too_hot"]


def test_a_folder_with_files_is_left_alone(tmp_path: Path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(HeadraceError) as error:
        create(tmp_path)
    assert str(error.value) == (
        f"  {tmp_path} is not empty: it holds a, b, c and 1 more\n"
        f"  hint: headrace init {tmp_path}/my-project   makes it in a new folder"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c", "d"]


def test_a_fresh_git_folder_will_do(tmp_path: Path):
    (tmp_path / ".git").mkdir()
    assert len(create(tmp_path)) == FILES.count("\n")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "x").write_text("")
    done = headrace("init", "x", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "  x is a file\n  hint: headrace init DIR   needs the name of a new folder\n"


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "x").write_text("")
    with pytest.raises(HeadraceError, match=r"can.t write .*: Not a directory"):
        create(tmp_path / "x" / "y")


def test_dags_are_the_repositorys():
    for path in sorted((ROOT / "dags").glob("*.py")):
        assert (STARTER / "dags" / f"{path.name}.txt").read_text() == path.read_text()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My Shop!", "my-shop"),
        ("2nd", "nd"),
        ("123", "my-project"),
        ("", "my-project"),
        ("a_b", "a-b"),
    ],
)
def test_names(folder: str, name: str):
    assert project_name(folder) == name
