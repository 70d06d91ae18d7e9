"""Rows of a graph without one: what becomes of each type of value, what is asked for, and rows that wait on disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import pytz
from neo4j import Record
from neo4j.spatial import CartesianPoint, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time

from headrace.errors import Place
from headrace.project import Column, Contract
from headrace.project.neo4j import Pattern
from headrace.pulls.neo4j_query import labels, query
from headrace.pulls.neo4j_values import reader, shown
from headrace.pulls.pulled import Line
from headrace.pulls.spool import Spool

CONTRACT = Contract("meals", "1.0.0", (Column("price", "number", precision=6, scale=2),), Place(Path("meals.yaml")))
FOLLOWS = Pattern(("Guest",), "FOLLOWS", ("Odd `name",), (("from_id", "id"),), (("to_id", "id"),))


def row(properties: dict[str, Any]) -> dict[str, Any]:
    record = Record({"id": "4:a:1", "properties": properties, "start": [], "end": [], "place": None})
    return reader(Pattern(("Meal",)), CONTRACT)(record)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (2**63 - 1, 2**63 - 1),
        (0.1, 0.1),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (True, True),
        ("é", "é"),
        (bytearray(b"a\xff"), "a\\xff"),
        ([1, 2], [1, 2]),
        (Date(2026, 1, 2), "2026-01-02"),
        (Time(10, 0, 1, 5), "10:00:01.000000005"),
        (Duration(months=14, days=3, seconds=3, nanoseconds=5), "P1Y2M3DT3.000000005S"),
        (DateTime(2026, 1, 2, 10, 0, 0, 0), "2026-01-02T10:00:00.000000Z"),
        (DateTime(2026, 1, 2, 10, 0, 0, 123456789, tzinfo=pytz.FixedOffset(60)), "2026-01-02T09:00:00.123456789Z"),
        ([DateTime(2026, 1, 2)], ["2026-01-02T00:00:00.000000Z"]),
        (WGS84Point((7.4, 46.9)), {"srid": 4326, "x": 7.4, "y": 46.9}),
        (CartesianPoint((1, 2, 3)), {"srid": 9157, "x": 1.0, "y": 2.0, "z": 3.0}),
    ],
)
def test_each_type_of_value(found, expected):
    assert row({"value": found}) == {"value": expected}


def test_a_float_of_a_decimal_column_has_the_digits_it_is_written_with():
    assert row({"price": 0.1})["price"] == "0.1"
    assert row({"price": 1e3})["price"] == "1000.0"
    assert row({"price": math.nan})["price"] == "nan"  # the contract will refuse it
    assert row({"price": 7})["price"] == 7


def test_what_can_not_be_read_is_said_with_its_property():
    early = DateTime(1, 1, 1, 0, 30, tzinfo=pytz.FixedOffset(60))
    with pytest.raises(ValueError, match=r"^at: 0001-01-01T00:30:.* is no moment in UTC"):
        row({"at": early})

    class Broken:  # as the driver's own object for a value that Python does not have
        error = OverflowError("Ordinal out of range")

        class raw_data:
            fields = (316_517_328_000, 0)

    with pytest.raises(ValueError, match=r"^at: Ordinal out of range"):
        row({"at": Broken()})
    assert shown(Broken()) == "(316517328000, 0)"


def test_a_relationship_names_the_nodes_at_its_ends():
    record = {"id": "5:a:1", "properties": {"since": 2}, "start": [7], "end": [None], "place": None}
    assert reader(FOLLOWS, CONTRACT)(Record(record)) == {"since": 2, "from_id": 7, "to_id": None}
    with pytest.raises(ValueError, match="to_id: the relationship has a property of that name itself"):
        reader(FOLLOWS, CONTRACT)(Record(record | {"properties": {"to_id": 2}}))


def test_only_quoted_names_of_labels_are_in_a_query():
    assert labels(("Guest", "Odd `name")) == ":`Guest`:`Odd ``name`"
    text, parameters = query(FOLLOWS, "si`nce", "timestamp", "2026-01-01T00:00:00Z")
    assert text.startswith("MATCH (s:`Guest`)-[n:`FOLLOWS`]->(e:`Odd ``name`) ")
    assert "si`nce" not in text and "2026" not in text
    assert parameters == {"s": ["id"], "e": ["id"], "watermark": "si`nce", "last": "2026-01-01T00:00:00Z"}
    text, parameters = query(Pattern(("Meal",)))
    assert (" ORDER BY" in text, parameters) == (False, {"s": [], "e": []})


def test_lines_wait_on_disk_and_are_known_in_any_order():
    lines = [Line(1, {"b": 1, "a": "é"}), Line(2, b"\xff", "no UTF-8"), Line(3, {"a": 2})]
    with Spool() as spool, Spool() as other:
        digests = [spool.add(line) for line in lines]
        assert list(spool.lines()) == lines
        assert list(spool.lines(without={digests[1]})) == [lines[0], lines[2]]
        assert list(spool.lines()) == lines  # as often as it is asked
        for line in (Line(9, {"a": 2}), Line(8, b"\xff", "no UTF-8"), Line(7, {"a": "é", "b": 1})):
            other.add(line)
        assert other.digest == spool.digest
        other.add(lines[0])
        assert other.digest != spool.digest
