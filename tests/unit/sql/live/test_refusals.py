"""What a live view refuses: the place, the reason and the hint of each in refused.txt; kept.sql has what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.project import load
from headrace.project.live import live_tables
from headrace.sql.live.parse import compile_live

CASES = Path(__file__).with_name("refused.txt").read_text(encoding="utf-8").strip().split("\n\n")
TABLES = live_tables(load(Path(__file__).parents[4]))  # the example's contracts
GOOD = Path(__file__).with_name("kept.sql").read_text(encoding="utf-8").strip().split("\n")


def said(query: str) -> str:
    """The mistakes of a query as refused.txt has them."""
    found = compile_live("v", query, TABLES)
    lines = []
    for m in found.mistakes:
        shown = [f"    {m.line}:{m.column} {m.message}", *(f"        {line}" for line in m.hint.split("\n") if line)]
        lines.append("\n".join(shown))
    assert (found.view is None) == bool(lines)
    return "\n".join(lines)


@pytest.mark.parametrize("case", CASES, ids=[c.split("\n    ")[0] for c in CASES])
def test_what_is_refused_and_why(case: str):
    query, *rest = case.partition("\n    ")
    assert said(query) == "".join(rest).removeprefix("\n")


@pytest.mark.parametrize("query", GOOD)
def test_what_is_kept(query: str):
    assert said(query) == ""


def test_what_is_no_sql_is_left_to_others():
    for query in ("SELECT FROM", "SELECT 'a", "", "SELECT (a FROM orders"):
        found = compile_live("v", query, TABLES)
        assert found.view is None and not found.mistakes


def test_names_may_be_in_any_case_and_quoted():
    one = compile_live("v", "SELECT `Restaurant_ID` AS r, SUM(TOTAL) AS t FROM Orders GROUP BY restaurant_id", TABLES)
    other = compile_live("v", "SELECT orders.restaurant_id AS r, SUM(total) AS t FROM orders GROUP BY 1", TABLES)
    assert one.view == other.view is not None


CALLS = """pg_read_file('/etc/passwd')
lo_import('/etc/passwd')
dblink('host=x', 'SELECT 1')
pg_sleep(9)
version()
query_to_xml('SELECT 1', true, true, '')
current_setting('data_directory')
set_config('role', 'headrace', false)
java_method('java.lang.System', 'getenv', 'HOME')
reflect('java.lang.System', 'getenv', 'HOME')
nextval('x')"""


@pytest.mark.parametrize("call", CALLS.splitlines())
def test_only_functions_of_the_algebra_reach_postgresql(call: str):
    """A live view is a view in the serving database: what it calls would run there."""
    for query in (
        f"SELECT restaurant_id, {call} AS x, COUNT(*) AS n FROM orders GROUP BY restaurant_id, {call}",
        f"SELECT restaurant_id, COUNT_IF(status = {call}) AS n FROM orders GROUP BY restaurant_id",
        f"SELECT restaurant_id, COUNT(*) AS n FROM orders WHERE {call} IS NOT NULL GROUP BY restaurant_id",
    ):
        assert said(query), query
