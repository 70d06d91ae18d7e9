"""What the `quality` rules of a contract mean."""

import pytest

from headrace.project import load
from headrace.project.quality_check import Check

CONTRACT = """\
schema:
  - name: visits
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0, severity: error}
      - {metric: rowCount, mustBeBetween: [10, 20], name: a few}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [page_id, began_at]}}
      - {type: custom, engine: headrace, implementation: {freshness: 2h}, severity: info}
      - {type: custom, engine: headrace, implementation: {rowCountChange: 25}}
      - {type: text, description: Somebody looks at them.}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - name: page_id
        logicalType: integer
        unique: true
        quality:
          - type: custom
            engine: headrace
            implementation: {references: pages.id}
            description: Every visit has a page.
      - name: seconds
        logicalType: number
        required: true
        quality:
          - {metric: invalidValues, mustBeLessThan: 5, unit: percent, arguments: {minimum: 0, maximum: 600}}
      - {name: began_at, logicalType: timestamp}
customProperties:
  - {property: eventTime, value: began_at}
"""


@pytest.fixture
def checks(folder) -> dict[str, Check]:
    folder.write("schemas/visits.yaml", CONTRACT)
    project = load(folder.root)
    assert project.problems == ()
    return {c.name: c for c in project.contracts["visits"].checks}


def test_required_unique_and_the_key_are_checks_too(checks):
    implied = {n: (c.kind, c.columns, c.severity) for n, c in checks.items() if c.implied}
    assert implied == {
        "id required": ("nullValues", ("id",), "error"),
        "page_id unique": ("duplicateValues", ("page_id",), "warning"),
        "seconds required": ("nullValues", ("seconds",), "error"),
        "unique key": ("duplicateValues", ("id",), "error"),
    }


def test_declared_checks_have_names_limits_and_places(checks):
    declared = [n for n, c in checks.items() if not c.implied]
    assert declared == [
        "page_id references pages.id",
        "seconds invalidValues",
        "rowCount",
        "a few",
        "duplicateValues of page_id, began_at",
        "freshness",
        "rowCountChange",
    ]
    assert [n for n in declared if checks[n].blocking] == ["rowCount"]
    assert (checks["rowCount"].low, checks["rowCount"].high) == (1, None)
    assert (checks["a few"].low, checks["a few"].high) == (10, 20)
    assert checks["freshness"].seconds == 7200
    assert checks["freshness"].columns == ("began_at",)
    assert checks["page_id references pages.id"].references == ("pages", "id")
    assert checks["page_id references pages.id"].description == "Every visit has a page."
    assert checks["a few"].place.line == 5


def test_answers_that_a_clock_or_another_table_changes_do_not_last(checks):
    assert {n for n, c in checks.items() if not c.lasting} == {"freshness", "page_id references pages.id"}


@pytest.mark.parametrize(
    ("allowed", "percent", "strict", "size", "limit"),
    [(0, False, False, 9, 0), (3, False, False, 9, 3), (3, False, True, 9, 2), (5, True, False, 100, 5),
     (5, True, True, 100, 4), (5, True, True, 110, 5), (0.1, True, False, 3000, 3), (5, True, True, 0, 0)],
)  # fmt: skip
def test_a_limit_is_a_whole_number_of_rows(checks, allowed, percent, strict, size, limit):
    check = Check("x", "nullValues", checks["rowCount"].place, allowed=allowed, percent=percent, strict=strict)
    assert check.limit(size) == limit


def test_a_definition_changes_with_the_meaning_alone(checks, folder):
    before = {n: c.definition for n, c in checks.items()}
    folder.write("schemas/visits.yaml", "# Moved by a line.\n" + CONTRACT.replace("[10, 20]", "[10, 21]"))
    after = {c.name: c.definition for c in load(folder.root).contracts["visits"].checks}
    assert {n for n in before if before[n] != after[n]} == {"a few"}
    assert len(set(before.values())) == len(before)
