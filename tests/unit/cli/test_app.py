"""The frame around the verbs: help, misspelt verbs, options before and after."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.app import VERBS, load
from headrace.cli.context import Format, show

ROOT = Path(__file__).parents[3]
THERE = [verb for verb in VERBS if (ROOT / f"headrace/cli/{verb}.py").exists()]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from headrace.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_help_lists_every_verb_that_is_not_hidden():
    shown = run("--help").stdout
    for verb in THERE:
        hidden = "HIDDEN = True" in (ROOT / f"headrace/cli/{verb}.py").read_text()
        assert (f" {verb} " in shown) is not hidden, verb


@pytest.mark.parametrize("verb", THERE)
def test_every_verb_has_help_and_takes_a_project(verb: str):
    command = load(verb)
    inner = list(getattr(command, "commands", {}).values()) or [command]
    for one in inner:
        assert any("-C" in parameter.opts for parameter in one.params), one.name
        assert one.help, one.name


@pytest.mark.parametrize("verb", THERE)
def test_importing_a_verb_imports_no_engine_at_the_top(verb: str):
    tree = ast.parse((ROOT / f"headrace/cli/{verb}.py").read_text())
    names = {a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
    engines = ("pyspark", "deltalake", "confluent_kafka", "duckdb", "psycopg", "pandas", "pyarrow")
    assert not [n for n in names if n.startswith(engines)]


def test_a_misspelt_verb():
    done = run("chekc")
    assert done.returncode == 2
    assert "No such command 'chekc'. Did you mean 'check'?" in " ".join(done.stderr.replace("│", " ").split())


def test_show(capsys: pytest.CaptureFixture[str]):
    rows: list[dict[str, object]] = [{"a": 1, "b": None}, {"a": "x,y", "b": 2}]
    show(rows, Format.csv)
    assert capsys.readouterr().out == 'a,b\n1,\n"x,y",2\n'
    show(rows, Format.json)
    assert (
        capsys.readouterr().out
        == '[\n  {\n    "a": 1,\n    "b": null\n  },\n  {\n    "a": "x,y",\n    "b": 2\n  }\n]\n'
    )
    show(rows, Format.table)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["a", "b"], ["1"], ["x,y", "2"]]
    show([], Format.csv, ("a", "b"))
    assert capsys.readouterr().out == "a,b\n"
