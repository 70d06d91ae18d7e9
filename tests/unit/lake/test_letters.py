"""Dead letters on a local folder: what is open, what was replayed, what was dropped, and how they are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.errors import HeadraceError
from headrace.lake import decisions, landing, letters, order, rows
from headrace.lake.selection import Selection, moment
from headrace.lake.shown import brief, full
from headrace.project import Project, load

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: {0}
version: 1.0.0
schema:
  - name: {0}
    properties:
      - {{name: id, logicalType: integer, required: true, primaryKey: true}}
"""
ALL = Selection()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for path, text in {
        "headrace.yml": "name: letters\n",
        "schemas/visits.yaml": CONTRACT.format("visits"),
        "schemas/clicks.yaml": CONTRACT.format("clicks"),
        "lake/sources/shop.yml": "kind: postgresql\nconnection: {local: true}\ntables: {visits: public.visits}\n",
        "lake/sources/web.yml": "kind: events\ntables: {clicks: web.clicks}\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = load(tmp_path)
    assert not found.problems
    return found


def reject(project: Project, table: str, topic: str, *offsets: int, at: datetime = NOW, **more: Any) -> None:
    row = {"raw": b"{}", "raw_key": b"k", "reason": "bad", "column": "id", "topic": topic, "partition": 0}
    row |= {"appended_at": NOW, "quarantined_at": at, "landing_date": at.date(), "contract_version": "1.0.0"}
    data = pa.Table.from_pylist([row | {"offset": o} | more for o in offsets], schema=rows.QUARANTINE)
    handle = landing.open_quarantine(project, table)
    from deltalake import write_deltalake

    write_deltalake(handle, data, mode="append")


def land(project: Project, table: str, topic: str, *changes: dict[str, Any]) -> None:
    handle = landing.open_landing(project, table, "id", 1)
    row = {"op": "u", "topic": topic, "partition": 0, "appended_at": NOW, "landing_date": NOW.date(), "epoch": 0}
    data = pa.Table.from_pylist([row | change for change in changes], schema=rows.LANDING)
    at = landing.stored(handle, "id", 0)
    landing.append(handle, data, "id", {0: (at, max(at, *(c["offset"] for c in changes)) + 1)})


def origin(topic: str, offset: int) -> str:
    return f"{topic}/0/{offset}/{int(NOW.timestamp() * 1000)}"


def replayed(topic: str, offset: int) -> str:
    return json.dumps({"headrace-epoch": "17", rows.ORIGIN: origin(topic, offset)})


def states(project: Project, selection: Selection = ALL) -> dict[tuple[str, int], str]:
    return {(x.table, x.offset): x.state for x in letters.find(project, selection)}


def test_nothing_is_in_quarantine(project: Project) -> None:
    assert letters.groups(project, ALL) == []
    assert letters.find(project, ALL) == []
    assert letters.open_topics(project, ALL) == {}


def test_a_row_is_replayed_when_a_message_on_the_lake_names_it(project: Project) -> None:
    topic = "shop.public.visits"
    reject(project, "visits", topic, 1, 2, 3)
    reject(project, "visits", topic, 9, headers=replayed(topic, 2))  # replayed, and rejected again
    land(project, "visits", topic, {"offset": 8, "headers": replayed(topic, 1)}, {"offset": 10, "headers": "{}"})
    assert states(project) == {
        ("visits", 1): "replayed",
        ("visits", 2): "replayed",
        ("visits", 3): "open",
        ("visits", 9): "open",
    }
    (group,) = letters.groups(project, ALL)
    assert (group["source"], group["table"], group["reason"], group["column"]) == ("shop", "visits", "bad", "id")
    assert (group["open"], group["replayed"], group["dropped"]) == (2, 2, 0)
    assert (group["first"], group["last"]) == (NOW, NOW)
    assert letters.again(project, "visits", {origin(topic, 2), origin(topic, 3)}) == [("bad", "id")]


def test_a_topic_made_anew_has_other_rows_at_the_same_offsets(project: Project) -> None:
    topic = "shop.public.visits"
    reject(project, "visits", topic, 1)
    reject(project, "visits", topic, 1, appended_at=NOW + timedelta(days=1))
    land(project, "visits", topic, {"offset": 8, "headers": replayed(topic, 1)})
    assert sorted(x.state for x in letters.find(project, ALL)) == ["open", "replayed"]


def test_dropped_rows_are_not_open_and_their_bytes_stay(project: Project) -> None:
    topic = "web.clicks"
    reject(project, "clicks", topic, 1, 2, raw=b"\xff")
    reject(project, "_unknown", "shop.public.strangers", 1)
    chosen = [x for x in letters.find(project, ALL, raw=False) if x.offset == 1]
    assert decisions.drop(project, chosen, "test data", "ada") == 2
    decisions.drop(project, chosen, "twice", "ada")
    assert states(project) == {("clicks", 1): "dropped", ("clicks", 2): "open", ("_unknown", 1): "dropped"}
    assert letters.open_topics(project, ALL) == {topic: 1}
    assert [x.raw for x in letters.find(project, Selection(table="clicks"), state="dropped")] == [b"\xff"]
    assert sum(g["dropped"] for g in letters.groups(project, ALL)) == 2


def test_a_row_that_was_dropped_while_its_replay_was_on_the_way_is_replayed(project: Project) -> None:
    topic = "web.clicks"
    reject(project, "clicks", topic, 1)
    decisions.drop(project, letters.find(project, ALL), "why", "ada")
    land(project, "clicks", topic, {"offset": 2, "headers": replayed(topic, 1)})
    assert states(project) == {("clicks", 1): "replayed"}


def test_rows_of_a_strange_topic_count_as_replayed_when_its_table_has_read_them(project: Project) -> None:
    reject(project, "_unknown", "web.clicks", 1, 2, 3, reason="unknown table")
    reject(project, "_unknown", "web.others", 1, reason="unknown table")
    land(project, "clicks", "web.clicks", {"offset": 1})
    reject(project, "clicks", "web.clicks", 2)
    assert states(project) == {
        ("_unknown", 1): "open",  # of web.others; of web.clicks it is replayed, see below
        ("_unknown", 2): "replayed",
        ("_unknown", 3): "open",
        ("clicks", 2): "open",
    }
    found = {(x.topic, x.offset): x.state for x in letters.find(project, Selection(table="_unknown"))}
    assert found[("web.clicks", 1)] == "replayed"
    assert {x.source for x in letters.find(project, ALL)} == {"web"}


def test_filters(project: Project) -> None:
    reject(project, "visits", "shop.public.visits", 1, reason="it's missing")
    reject(project, "clicks", "web.clicks", 2, at=NOW + timedelta(hours=1))
    reject(project, "_unknown", "shop.public.strangers", 3, at=NOW + timedelta(hours=2))
    assert set(states(project, Selection(source="shop"))) == {("visits", 1), ("_unknown", 3)}
    assert set(states(project, Selection(table="_unknown"))) == {("_unknown", 3)}
    assert set(states(project, Selection(reason="it's"))) == {("visits", 1)}
    later = NOW + timedelta(hours=1)
    assert set(states(project, Selection(since=later))) == {("clicks", 2), ("_unknown", 3)}
    assert set(states(project, Selection(until=later))) == {("visits", 1)}
    assert [x.offset for x in letters.find(project, ALL, limit=2)] == [3, 2]  # the newest
    with pytest.raises(HeadraceError, match="no table 'visit'") as error:
        letters.find(project, Selection(table="visit"))
    assert "visits" in error.value.problems[0].hint
    with pytest.raises(HeadraceError, match="no source"):
        letters.find(project, Selection(source="shops"))


def test_which_originals_were_landed(project: Project) -> None:
    topic = "shop.public.visits"
    reject(project, "visits", topic, 1, 2)
    land(project, "visits", topic, {"offset": 1}, {"offset": 3})
    found = letters.find(project, ALL)
    assert letters.landed(project, "visits", found) == {origin(topic, 1)}
    assert letters.landed(project, "clicks", found) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


def test_what_is_no_time(project: Project) -> None:
    with pytest.raises(HeadraceError, match="'yesterday' is not a time"):
        moment("yesterday", NOW)


def test_any_bytes_can_be_shown(project: Project) -> None:
    raw = b'{"a": "\xff\x1b[2J[/b]", "b": "' + "é".encode() * 1000 + b'"}'
    reject(project, "visits", "shop.public.visits", 7, raw=raw, raw_key=None)
    (letter,) = letters.find(project, ALL)
    value = full(letter)["value"]
    assert value.startswith('{"a": "\\xff\x1b[2J[/b]"')
    assert len(value) > 1000
    line = brief(letter)
    assert line["position"] == "shop.public.visits/0/7"
    assert line["value"].startswith('{"a": "\\xff\\x1b[2J[/b]"')
    assert line["value"].endswith("é…")
    assert len(line["value"]) == 81
    assert line["key"] is None


def place(offset: int, first: int | None = None, position: str = "5", key: str = "k") -> order.Place:
    first = offset if first is None else first
    return order.Place(f"o{offset}", key, 0, position, 0, offset, first)


def test_a_change_is_overtaken_only_by_a_later_one_of_its_key_at_its_position(project: Project) -> None:
    again = json.dumps({rows.ORIGIN: "x", rows.FIRST: "4"})
    land(
        project,
        "visits",
        "shop.public.visits",
        {"offset": 4, "key": "k", "position": "5"},  # the original, without its image
        {"offset": 5, "key": "k", "position": "5"},
        {"offset": 6, "key": "l", "position": "5"},
        {"offset": 7, "key": "k", "position": "6"},
        {"offset": 9, "key": "k", "position": "5", "headers": again},  # 4, replayed and rejected again
    )
    assert order.overtaken(project, "visits", [place(4)]) == {"o4"}
    assert order.overtaken(project, "visits", [place(9, first=4)]) == {"o9"}
    assert order.overtaken(project, "visits", [place(5)]) == set()  # neither 4 nor what came of it is later
    assert order.overtaken(project, "visits", [place(4), place(5)]) == set()  # 5 is sent again, too, behind 4
    assert order.overtaken(project, "visits", [place(6, key="l"), place(7, position="6")]) == set()
    assert order.overtaken(project, "visits", []) == set()
    assert order.overtaken(project, "clicks", [place(4)]) == set()
