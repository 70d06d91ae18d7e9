"""Pulls of REST sources, up to the bus: every way of paging, only what changed, and what is odd in an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.pulls import boundary, rest
from headrace.pulls.pulled import State

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: meals
version: 1.0.0
schema:
  - name: meals
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
      - {name: price, logicalType: number, physicalType: "decimal(38,9)"}
      - {name: day, logicalType: date}
      - {name: at, logicalType: timestamp}
      - {name: version, logicalType: integer}
      - {name: name, logicalType: string}
"""
SINCE = "since: {parameter: since, column: at}"


class Pulls:
    """Pulls of one table, one after the other; `state` is what the bus would keep."""

    def __init__(self, root: Path, url: str, table: str) -> None:
        for folder in ("lake/sources", "schemas"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "headrace.yml").write_text("name: shop\n")
        (root / "schemas/meals.yaml").write_text(CONTRACT)
        text = f"kind: rest\nconnection: {{url: '{url}'}}\ntables:\n  meals: {table}\n"
        (root / "lake/sources/shop.yml").write_text(text)
        self.project = load(root)
        assert not self.project.problems, self.project.problems
        self.source = self.project.source("shop")
        self.state = State()
        self.bad: list[str] = []

    def __call__(self, steps: int = 1000) -> list[Any]:
        """The rows of the next pull; it is killed after as many steps. Reasons of bad ones are in `bad`."""
        rows = []
        for number, (lines, state) in enumerate(
            rest.steps(self.project.addresses, self.source, self.source.tables[0], self.state), 1
        ):
            for line in lines:
                rows.append(line.row)
                self.bad += [line.error] if isinstance(line.row, bytes) else []
            self.state = State.from_json(json.loads(json.dumps(state.to_json())))
            if number == steps:
                break
        return rows

    def ids(self) -> list[int]:
        return [row["id"] for row in self()]


@pytest.fixture
def pulls(tmp_path: Path, site) -> Callable[[str], Pulls]:
    """pulls(table): pulls of a table of the site, whose entry in the source's file is this YAML."""
    return lambda table: Pulls(tmp_path, site.url, table)


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def part(request: Any, start: str, most: str = "limit") -> tuple[list[dict[str, int]], int]:
    """Rows 0 to 6, from the one that the request's parameter names on, as many as it asks for."""
    begin = int(request.query.get(start, 0))
    size = int(request.query.get(most, 3))
    return [{"id": n} for n in range(7)][begin : begin + size], begin + size


def by_number(request: Any) -> Any:
    page, size = int(request.query["p"]), int(request.query["n"])
    return body([{"id": n} for n in range(7)][(page - 1) * size : page * size])


def by_number_with_a_404(request: Any) -> Any:
    return (404, b'{"detail": "Invalid page."}') if request.query["p"] == "3" else by_number(request)


def by_offset(request: Any) -> Any:
    return body({"data": {"items": part(request, "offset")[0]}})


def by_cursor(request: Any) -> Any:
    rows, following = part(request, "after")
    return body({"items": rows, "meta": {"next": following if following < 7 else None}})


def by_address_in_the_body(request: Any) -> Any:
    assert request.query["status"] == "open"  # what the file names, also where the address doesn't
    rows, following = part(request, "from")
    return body({"items": rows, "next": f"?from={following}" if following < 7 else ""})


def by_link(request: Any) -> Any:
    rows, following = part(request, "from")
    host = request.headers["Host"]  # seen behind a proxy: another scheme and port
    link = {"Link": f'<http://{host}/meals?from={following}>; rel="next", </>; rel="first"'} if following < 7 else {}
    return 200, body(rows), link


@pytest.mark.parametrize(
    ("table", "answer", "requests"),
    [
        ("/meals", lambda request: body([{"id": n} for n in range(7)]), 1),
        ("{page: {by: number, parameter: p, size_parameter: n, size: 4}}", by_number, 3),
        ("{page: {by: number, parameter: p, size_parameter: n, size: 4}}", by_number_with_a_404, 3),
        ("{rows: data.items, page: {by: offset, size_parameter: limit, size: 2}}", by_offset, 5),
        ("{rows: items, page: {by: cursor, parameter: after, from: meta.next}}", by_cursor, 3),
        ("{rows: items, page: {by: cursor, from: next}, parameters: {status: open}}", by_address_in_the_body, 3),
        ("{page: {by: link}}", by_link, 3),
    ],
    ids=["one page", "number", "number and 404", "offset", "cursor", "address", "link"],
)
def test_all_pages_are_walked(pulls, site, table, answer, requests) -> None:
    site.answer = answer
    shop = pulls(table)
    assert shop.ids() == list(range(7))
    assert len(site.asked) == requests
    assert (shop(), shop.state.pull) == ([], 1)  # the same rows as last time


@pytest.mark.parametrize(
    ("table", "answer", "said"),
    [
        ("{page: {by: number}}", body([{"id": 1}]), "page 2 is the same as the one before it"),
        ("{rows: r, page: {by: cursor, parameter: c, from: n}}", body({"r": [], "n": 5}), "'5' came before"),
        ("{page: {by: link}}", (200, b"[]", {"Link": '<https://other.example/>; rel="next"'}), "at another server"),
        ("{page: {by: link}}", (200, b"[]", {"Link": '<http://[>; rel="next"'}), "is none"),
        ("{rows: r, page: {by: cursor, from: n, parameter: c}}", body({"r": [], "n": {}}), "an object, not a cursor"),
        ("{rows: r, page: {by: cursor, from: n, parameter: c}}", body({"r": [], "n": "x" * 99_999}), "too long"),
        (
            "{rows: r, page: {by: cursor, from: nxt, parameter: c, size: 1, size_parameter: s}}",
            body({"r": [{}], "next": 1}),
            "has no 'nxt' to go on with",
        ),
        ("{rows: data.rows}", body({"data": {"row": []}}), "did you mean 'row'? (in data)"),
        ("{rows: data.rows}", body([]), "the answer is a list"),
        ("/meals", body({"meals": []}), "an object, not a list of rows"),
        ("{rows: a}", body({"a": 5}), "'a' in the answer to GET"),
    ],
)
def test_a_walk_that_would_not_end_or_has_no_rows_is_an_error(pulls, site, table, answer, said) -> None:
    site.answer = lambda request: answer
    with pytest.raises(HeadraceError) as caught:
        pulls(table)()
    assert said in str(caught.value)
    assert len(str(caught.value)) < 5000


def test_a_walk_has_as_many_pages_as_its_file_allows(pulls, site) -> None:
    site.answer = lambda request: body([{"id": int(request.query["page"])}])
    with pytest.raises(HeadraceError, match="more than 3 pages"):
        pulls("{page: {by: number, most: 3}}")()
    assert len(site.asked) == 3


def test_a_snapshot_comes_again_when_anything_in_it_is_another(pulls, site) -> None:
    rows = [{"id": 1, "name": "soup"}, {"id": 2, "name": "cake"}]
    site.answer = lambda request: body(rows)
    shop = pulls("/meals")
    assert shop() == rows
    rows.reverse()  # in another order it is the same snapshot
    assert shop() == []
    rows[0] = {"id": 2, "name": "pie"}
    assert shop() == rows
    rows.clear()
    assert shop() == []


class Changes:
    """A service that is asked for what changed since a moment, and gives pages of two."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, request: Any) -> Any:
        since, page = request.query.get("since", ""), int(request.query["page"])
        found = [row for row in self.rows if str(row.get("at", "~")) >= since]
        return body(found[page * 2 - 2 : page * 2])

    def put(self, key: int, second: float, **more: Any) -> None:
        self.rows = [row for row in self.rows if row["id"] != key]
        self.rows.append({"id": key, "at": f"2026-01-01T10:00:{second:04.1f}Z"} | more)


@pytest.fixture
def changes(site) -> Changes:
    site.answer = Changes()
    return site.answer


def test_only_what_changed_is_asked_for_and_nothing_comes_twice(pulls, site, changes) -> None:
    shop = pulls(f"{{page: {{by: number}}, {SINCE}}}")
    for key in (3, 1, 2):
        changes.put(key, 10 + key)
    assert shop.ids() == [1, 2, 3]
    changes.put(4, 13)  # with the last value: it came late
    changes.put(3, 13, name="changed")
    assert shop() == [{"id": 4, "at": "2026-01-01T10:00:13.0Z"}, changes.rows[-1]]
    # As the service writes it: this one compares texts, and 13.5Z would be smaller than 13Z.
    assert site.asked[-1].startswith("/meals?since=2026-01-01T10%3A00%3A13.0Z")
    assert shop.ids() == []
    changes.put(1, 14)
    assert shop.ids() == [1]


def test_a_pull_that_is_killed_between_two_steps_goes_on(pulls, changes, monkeypatch) -> None:
    monkeypatch.setattr(boundary, "ROWS", 3)
    shop = pulls(f"{{page: {{by: number}}, {SINCE}}}")
    for key in range(10):
        changes.put(key, key // 4)
    got = [row["id"] for _ in range(6) for row in shop(steps=1)]
    assert got == list(range(10))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("version", [9, 10, 10, 11]),
        ("price", ["9.5", "10", "10.00", "10.000000001"]),
        ("price", ["1234567890123456789012345678.1", "1234567890123456789012345678.2"]),
        ("day", ["2026-01-01", "2026-01-02"]),
        ("name", ["a", "b", "ba"]),
        ("at", ["2026-01-01T12:00:00.5+02:00", "2026-01-01T10:00:00.500000001Z", "2026-01-01T10:00:01Z"]),
    ],
)
def test_any_type_that_has_an_order_can_grow(pulls, site, column, values) -> None:
    rows = [{"id": n, column: value} for n, value in enumerate(values)]
    site.answer = lambda request: body(rows[::-1])
    shop = pulls(f"{{since: {{parameter: since, column: {column}}}}}")
    assert sorted(shop.ids()) == list(range(len(rows)))
    assert shop.ids() == []
    rows.append({"id": 9, column: values[-1]})
    rows.append({"id": 8, column: values[0]})  # smaller than the last: the service was asked for what is not
    assert shop.ids() == [9]


def test_a_column_of_another_type_than_last_time_is_read_from_the_start(pulls, site) -> None:
    site.answer = lambda request: body([{"id": 1, "name": "x", "version": 5, "at": "2026-01-01T00:00:00Z"}])
    shop = pulls("{since: {parameter: since, column: name}}")
    assert shop.ids() == [1]
    for column in ("version", "at"):
        again = pulls(f"{{since: {{parameter: since, column: {column}}}}}")
        again.state = shop.state
        assert again.ids() == [1]
        assert "since=" not in site.asked[-1]


def test_a_row_that_would_hide_later_changes_goes_to_quarantine_once(pulls, site) -> None:
    odd = ("9999-12-31T00:00:00Z", "2026-02-30T00:00:00Z", "soon", None, 5)
    rows: list[Any] = [{"id": key, "at": at} for key, at in enumerate(odd, 2)]
    rows += ["no row", {"id": 1, "at": "2026-01-01T00:00:00Z"}]
    site.answer = lambda request: body(rows)
    shop = pulls(f"{{{SINCE}}}")
    assert [row if isinstance(row, bytes) else row["id"] for row in shop()][-1] == 1
    wanted = (
        "at: expected a UTC timestamp such as 2026-01-31T12:00:00Z, got {}: it has no place in the order of changes"
    )
    assert [reason.removeprefix(f"row {n} of /meals: ") for n, reason in enumerate(shop.bad, 1)] == [
        "at is 9999-12-31T00:00:00Z, which is yet to come: it has no place in the order of changes",
        wanted.format("'2026-02-30T00:00:00Z'"),
        wanted.format("'soon'"),
        "at is missing: it has no place in the order of changes",
        wanted.format("5"),
        "row 6 of page 1 of /meals is not an object",
    ]
    assert shop() == []
    rows.append({"id": 9, "at": "2026-01-02T00:00:00Z"})
    assert shop.ids() == [9]


def test_a_wrong_column_is_an_error_and_not_a_quarantine_of_everything(pulls, site, monkeypatch) -> None:
    monkeypatch.setattr(rest, "ROWS", 5)
    site.answer = lambda request: body([{"id": n} for n in range(6)])
    with pytest.raises(HeadraceError, match="6 rows can't be placed in the order of changes"):
        pulls(f"{{{SINCE}}}")()


def test_odd_values_cost_their_row_only(pulls, site) -> None:
    rows = [
        b'{"id": 1, "price": 0.10, "name": "\xff"}',
        b'{"id": 2, "name": "\\ud800"}',
        b'{"id": 3, "version": 1e999}',
        b'{"id": 4, "price": 12345678901234567890123456789.123456789}',
        b'{"id": 5, "price": 1e999999999, "name": "' + b"x" * 10_000_000 + b'"}',
        b"null",
    ]
    site.answer = lambda request: b"[" + b",".join(rows) + b"]"
    shop = pulls("/meals")
    one, two, three, four, five, six = shop()
    assert (one, two) == (rows[0].replace(b"0.10", b'"0.10"'), rows[1])
    assert four == {"id": 4, "price": "12345678901234567890123456789.123456789"}
    assert five["price"] == "1e999999999" and len(five["name"]) == 10_000_000
    assert (three, six) == (b'{"id": 3, "version": "1e999"}', b"null")
    assert len(shop.bad) == 4
    assert shop() == []


def test_a_huge_key_or_value_does_not_grow_the_state(pulls, site) -> None:
    long = "x" * 1_000_000
    site.answer = lambda request: body([{"id": long, "at": "2026-01-01T00:00:00Z"}, {"id": 1, "at": long}])
    shop = pulls(f"{{{SINCE}}}")
    assert len(shop()) == 2
    assert len(json.dumps(shop.state.to_json())) < 2000
    assert shop() == []
