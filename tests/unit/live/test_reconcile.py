"""Reconciliation without servers: labels, masks, verdicts, and the words about them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlglot

from headrace.live import reconcile, words
from headrace.live.labels import hidden, labels
from headrace.live.reconcile import DIFFERENT, EQUAL, Difference, Verdict
from headrace.project.contract import Column
from headrace.serve import reconciliation
from headrace.sql.lineage import Origins
from headrace.sql.live import compared
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import APPENDED, Table, View

COLUMNS = (
    Column("id", "integer", required=True, key=True),
    Column("place", "integer"),
    Column("guest", "string", personal=True),
    Column("amount", "number", precision=10, scale=2),
    Column("at", "timestamp"),
)
TABLES = {"sales": Table("sales", COLUMNS, ("id",)), "events": Table("events", COLUMNS, (), APPENDED)}
DAYS = """SELECT place AS shop, CAST(at AS DATE) AS day, SUM(amount) AS total, AVG(amount) AS mean, COUNT(*) AS n
FROM sales GROUP BY place, CAST(at AS DATE)"""
GUESTS = "SELECT guest, SUM(amount) AS total, COUNT(guest) AS named FROM sales GROUP BY guest"


def view_of(query: str) -> View:
    found = compile_live("v", query, TABLES)
    assert found.view is not None, found.mistakes
    return found.view


def row(**given: Any) -> dict[str, Any]:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    known = {
        "id": 7,
        "view": "v",
        "version": "x",
        "run_id": uuid.UUID(int=1),
        "since": 6,
        "cut": 9,
        "chunk_seconds": 10,
    }
    known |= {"state": "different", "keys": 1200, "differing": 3, "causes": {"dropped": 2, "late": 1}, "reason": None}
    return known | {"at": at, "replaced": False, "open_since": at} | given


def key(cause: str, **given: Any) -> dict[str, Any]:
    known = {"key": {"shop": 1}, "batch": {"total": Decimal("12.50"), "images": 2}, "speed": None, "masked": False}
    return {"cause": cause} | known | given


def test_values_are_called_as_the_view_calls_them():
    assert labels(view_of(DAYS)) == {"k1": "shop", "k2": "day", "m1": "total", "m2": "count(amount)"}
    unseen = view_of("SELECT SUM(amount) + 1 AS images, COUNT(*) AS row_count FROM sales GROUP BY place, UPPER(guest)")
    assert labels(unseen) == {"k1": "place", "k2": "k2", "m1": "sum(amount)", "m2": "count(amount)"}
    taken = view_of("SELECT place AS images, MIN(at) AS row_count FROM events GROUP BY place")
    assert labels(taken) == {"k1": "place", "m1": "min(at)"}


def test_values_that_are_counted_apart_are_hidden_where_the_view_s_contract_says_so():
    view = view_of(
        "SELECT CAST(at AS DATE) AS day, COUNT(DISTINCT place) AS places FROM sales GROUP BY CAST(at AS DATE)"
    )
    assert hidden(view) == frozenset()
    assert hidden(view, Origins({"places": frozenset({"sales.place"})})) == {view.distinct}


def test_personal_values_are_hidden_and_counts_are_not():
    assert hidden(view_of(DAYS)) == frozenset()
    assert hidden(view_of(GUESTS)) == {"k1"}
    by_own_contract = Origins({"total": frozenset({"v.total"}), "mean": frozenset({"v.mean"})})
    assert hidden(view_of(DAYS), by_own_contract) == {"m1"}
    assert hidden(view_of(DAYS), Origins(rest=frozenset({"x"}))) == {"k1", "k2", "m1"}
    inside = view_of("SELECT place, SUM(CASE WHEN guest = 'Ada' THEN amount END) AS total FROM sales GROUP BY place")
    assert hidden(inside) == {"m1"}


@pytest.mark.parametrize("query", [DAYS, GUESTS, "SELECT COUNT(*) AS n FROM sales", "SELECT MAX(at) AS a FROM events"])
def test_the_comparison_is_sql_with_as_many_columns_as_are_read(query: str):
    tree = sqlglot.parse_one(
        compared.query(view_of(query), "pg_temp.staged") % {"since": 1, "cut": 2, "most": 3}, "postgres"
    )
    assert [s.alias_or_name for s in tree.selects] == ["*", "*", "key", "batch", "speed", "cause"]
    assert '"pg_temp"."staged"' in compared.query(view_of(query), "pg_temp.staged")


def test_an_empty_stretch_is_unproven_without_asking():
    for since, cut in ((5, 5), (6, 5)):
        found = reconcile.compare(None, view_of(DAYS), "staged", since, cut)  # type: ignore[arg-type]
        assert (found.state, found.keys) == ("unproven", 0)
        assert "nothing to compare" in found.reason
    assert reconcile.unproven("the job is behind").reason == "the job is behind"


def test_a_difference_ends_the_run_and_names_view_keys_and_causes():
    view = view_of(GUESTS)
    differences = tuple(
        Difference("dropped", {"guest": f"Ada {n}"}, {"total": Decimal("1.10"), "images": 1}, None) for n in range(5)
    )
    error = reconcile.problem(view, 6, 9, Verdict(DIFFERENT, 1200, {"dropped": 5}, differences, hidden=("guest",)))
    assert error is not None
    text = str(error)
    assert "'v' differ in 5 of 1,200 keys (5 dropped), chunks 6 to 8" in text
    assert text.count("dropped: guest=***: batch total=1.10, images=1; speed nothing") == reconcile.EXAMPLES
    assert "Ada" not in text
    assert "hint: headrace reconcile v" in text
    for verdict in (Verdict(EQUAL, 3), reconcile.unproven("behind")):
        assert reconcile.problem(view, 6, 9, verdict) is None


def test_a_difference_in_words():
    keys = [key("dropped"), key("dropped", key={"shop": 2}), key("late", key={}, speed={"total": None, "images": 1})]
    lines = words.explain(row(), keys)
    text = "\n".join(lines)
    assert lines[0] == "v: different"
    assert "chunks 6 to 8 (1970-01-01 00:01:00 to 1970-01-01 00:01:30 UTC), compared 2026-01-01 12:00:00 UTC" in text
    assert "3 of 1,200 keys differ" in text
    assert "  dropped: 2 keys\n    The speed layer counted fewer images" in text
    assert "    for example shop=1\n      batch: total=12.50, images=2\n      speed: nothing\n" in text
    assert "shop=2" not in text
    assert (
        "for example the one row of the view\n      batch: total=12.50, images=2\n      speed: total=NULL, images=1"
        in text
    )
    assert "next: headrace reconcile v --repair" in text
    assert "next: nothing, unless that run failed: headrace run v --full" in text
    assert "the batch layer below chunk 6" in text
    assert "WHERE reconciliation = 7" in text
    assert "***" not in text
    assert "personal.reconciliation_keys" in "\n".join(words.explain(row(), [key("dropped", masked=True)]))
    assert "another version by now" in "\n".join(words.explain(row(replaced=True), keys))
    assert words.still_open(row()) == []


def test_every_cause_has_words():
    assert set(words.MEANING) == set(compared.CAUSES)
    for cause in compared.CAUSES:
        text = "\n".join(words.explain(row(causes={cause: 1}, differing=1, keys=1), [key(cause)]))
        assert f"{cause}: 1 key\n" in text
        assert "    next: " in text


def test_what_is_no_difference_in_words():
    equal = row(state="equal", keys=1, differing=0, causes={})
    assert words.explain(equal, [])[-1] == "  1 key compared: same values, rows and images in both layers"
    assert "were not shown to be equal since" in words.still_open(equal)[1]
    assert words.still_open(equal | {"open_since": None}) == []
    empty = row(state="unproven", since=6, cut=6, keys=0, differing=0, causes={}, reason="the stretch is empty")
    assert words.explain(empty, [])[1:] == [
        f"  cut 6, compared 2026-01-01 12:00:00 UTC, run {uuid.UUID(int=1)}",
        "  the stretch is empty",
    ]
    lost = row(state="unproven", reason="1 partial lost state", causes={"dropped": 1}, differing=1)
    assert "--repair   (a speed layer without gaps)" in words.explain(lost, [key("dropped")])[-1]


def test_long_and_odd_values_are_cut():
    assert words.pairs({"a": "x" * 100, "b": "\x1b[1m", "c": True}) == f"a={'x' * 80}…, b=�[1m, c=true"


def test_numbers_keep_every_digit():
    values = {
        "n": Decimal("12345678901234567890123456789.10"),
        "i": 10**30,
        "t": 'a"b',
        "none": None,
        "e": Decimal("1E-9"),
    }
    text = reconciliation.to_json(values)
    assert reconciliation.from_json(text) == values
    assert "12345678901234567890123456789.10" in str(text)
    assert reconciliation.to_json(None) is reconciliation.from_json(None) is None
