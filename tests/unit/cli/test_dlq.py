"""`headrace dlq` without servers: what needs only the lake's files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.context import Format, show

ROOT = Path(__file__).parents[3]


@pytest.fixture
def headrace(tmp_path: Path):
    (tmp_path / "headrace.yml").write_text("name: letters\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from headrace.cli import main; main()"
        command = [sys.executable, "-c", code, "dlq", *arguments, "-C", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    return run


def test_an_empty_quarantine_is_no_error(headrace) -> None:
    for verb in ("list", "show"):
        done = headrace(verb)
        assert (done.returncode, done.stdout) == (0, "nothing is in quarantine\n"), done.stderr
        assert headrace(verb, "--format", "json").stdout == "[]\n"
    for verb in (("replay",), ("drop", "--all", "--reason", "x")):
        done = headrace(*verb)
        assert (done.returncode, done.stdout) == (0, "nothing is open in quarantine\n"), done.stderr


def test_a_drop_says_why_and_which_rows(headrace) -> None:
    done = headrace("drop", "--reason", "test data")
    assert done.returncode == 1
    assert "every open row" in done.stderr
    assert "hint: --table" in done.stderr
    assert headrace("drop", "--all").returncode == 2
    assert headrace("drop", "--all", "--reason", " ").returncode == 1


def test_wrong_filters_are_errors_with_a_hint(headrace) -> None:
    for option, value in (("--table", "visits"), ("--source", "shop"), ("--since", "soon")):
        done = headrace("list", option, value)
        assert done.returncode == 1
        assert "hint:" in done.stderr


def test_values_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"value": "[/b] [red]x"}], Format.table)
    assert "[/b] [red]x" in capsys.readouterr().out
