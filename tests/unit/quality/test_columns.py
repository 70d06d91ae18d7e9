"""The columns that checks look at, read from Delta tables by DuckDB."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from headrace.errors import HeadraceError, Place
from headrace.lake.pinned import Pinned, read
from headrace.project import Column, Contract
from headrace.project.quality_check import Check
from headrace.quality.columns import expressions

PLACE = Place(Path("schemas/visits.yaml"), 1)
VISITS = Contract(
    "visits",
    "1",
    (
        Column("id", "integer", key=True),
        Column("page", "integer"),
        Column("note", "string"),
        Column("day", "date"),
    ),
    PLACE,
)
REFERENCES = Check("r", "references", PLACE, ("page",), references=("pages", "id"))
MISSING = Check("m", "missingValues", PLACE, ("note",), values=("", "n/a", "it's"))


@pytest.fixture
def visits(tmp_path) -> Pinned:
    path = str(tmp_path / "visits")
    rows = pa.table(
        {
            "id": [1, 2, 3, 4, 5],
            "page": [10, 11, None, 12, 99],
            "note": ["", "n/a", "it's", None, "well"],
            "day": [date(2026, 1, 1)] * 5,
            "_deleted": [False, False, False, False, True],
        }
    )
    write_deltalake(path, rows)
    write_deltalake(path, rows.slice(0, 1), mode="overwrite")
    return Pinned("visits", path, 0, deleted=True)


@pytest.fixture
def pages(tmp_path) -> Pinned:
    path = str(tmp_path / "pages")
    write_deltalake(path, pa.table({"id": [10, 11, 12], "_deleted": [False, False, True]}))
    return Pinned("pages", path, 0, deleted=True)


def test_values_that_refer_to_nothing(visits, pages):
    found = read(visits, expressions(VISITS, (REFERENCES,)), [pages]).to_pylist()
    assert found == [
        {"id": 1, "page": 10, "page without pages.id": None},
        {"id": 2, "page": 11, "page without pages.id": None},
        {"id": 3, "page": None, "page without pages.id": None},
        {"id": 4, "page": 12, "page without pages.id": 12},  # that page was deleted
    ]


def test_values_that_mean_nothing(visits):
    found = read(visits, expressions(VISITS, (MISSING,))).column("note, empty where it means nothing").to_pylist()
    assert found == [None, None, None, None]


def test_dates_are_times_in_utc(visits):
    found = read(visits, expressions(VISITS, (Check("d", "nullValues", PLACE, ("day",)),))).column("day")
    assert found[0].as_py() == datetime(2026, 1, 1, tzinfo=UTC)


def test_only_the_named_columns_are_read(visits):
    assert list(expressions(VISITS, ())) == ["id"]
    assert read(visits, expressions(VISITS, ())).num_rows == 4


def test_a_column_that_is_not_there_is_said(visits):
    with pytest.raises(HeadraceError, match="visits does not hold what its contract says"):
        read(visits, {"x": 't."nowhere"'})


def test_a_version_has_a_name_of_its_own(visits, pages):
    assert visits.identity.endswith("@0")
    assert visits.identity != pages.identity
