"""Messages of a pull: also of lines that no message could carry as they are."""

from __future__ import annotations

import json

import pytest

from headrace.project import Source, Table
from headrace.pulls.message import LONGEST, SHOWN, message
from headrace.pulls.pulled import Line


@pytest.fixture
def shop(visits: Table) -> Source:
    return Source("shop", "files", (visits,), visits.place)


def test_a_row_is_a_change_with_its_position(visits: Table, shop: Source) -> None:
    made = message(visits, shop, Line(3, {"id": 1, "guest": "A"}, file="a.csv"), 7)
    change = json.loads(made.value)
    assert (made.key, made.headers) == (b'{"id":1}', [])
    assert (change["op"], change["after"]) == ("u", {"id": 1, "guest": "A"})
    assert (change["source"]["pull"], change["source"]["row"], change["source"]["file"]) == (7, 3, "a.csv")


@pytest.mark.parametrize(
    ("row", "value", "reason"),
    [
        (b"half", b"half", "line 3"),
        ({"guest": "\udcff"}, b'{"guest": "\xff"}', "row 3 of a.json: str is not valid UTF-8"),
        ({"guest": "\ud800"}, b'{"guest": "\\ud800"}', "row 3 of a.json: str is not valid UTF-8"),
        (b"x" * (LONGEST + 1), b"x" * SHOWN, "oversize: row 3 of a.json has"),
    ],
    ids=["unread", "bytes", "half a character", "oversize"],
)
def test_what_cannot_be_carried_goes_to_quarantine(
    visits: Table, shop: Source, land, record, row, value, reason
) -> None:
    made = message(visits, shop, Line(3, row, "line 3", "a.json"), 7)
    assert (made.key, made.value) == (None, value)
    landed, rejected = land("files", record(made.value, head=made.headers))
    assert landed == []
    assert rejected[0]["reason"].startswith(reason)


def test_json_that_a_pull_refused_is_rejected_with_the_reason_of_the_pull(land, record) -> None:
    looks_well = {"op": "u", "after": {"id": 1, "guest": "A"}, "source": {"pull": 1, "row": 1}}
    landed, rejected = land("files", record(looks_well, head=[("headrace-error", b"row 2 of a.parquet: guest")]))
    assert (landed, rejected[0]["reason"]) == ([], "row 2 of a.parquet: guest")


def test_a_key_and_a_reason_as_large_as_a_row_are_cut(visits: Table, shop: Source) -> None:
    long = "x" * (LONGEST * 2 // 3)  # alone the row would fit, with its key beside it not
    made = message(visits, shop, Line(3, {"id": long}, file="a.json"), 7)
    assert (made.key, len(made.value)) == (None, SHOWN)
    assert made.headers[0][1].startswith(b"oversize: row 3 of a.json has")
    made = message(visits, shop, Line(3, b"x", "é" * 50_000), 7)
    assert len(made.headers[0][1].decode()) == 1000


def test_what_is_gone_is_a_deletion_of_its_key(visits: Table, shop: Source, land, record) -> None:
    made = message(visits, shop, Line(2, {"id": 1}, gone=True), 7)
    landed, rejected = land("cassandra", record(made.value, name=made.key, head=made.headers))
    assert rejected == []
    assert (landed[0]["op"], landed[0]["key"], landed[0]["before"], landed[0]["after"]) == ("d", '{"id":1}', None, None)
    assert landed[0]["position"] == f"{7:012d}/{2:012d}"


def test_a_row_that_is_too_large_still_says_whose_it_is(visits: Table, shop: Source) -> None:
    made = message(visits, shop, Line(2, {"id": 1, "guest": "x" * LONGEST}), 7)
    assert (made.key, len(made.value)) == (b'{"id":1}', SHOWN)
