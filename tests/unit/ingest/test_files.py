"""Files of a pull: rows as the bus carries them, each file once, nothing lost that can't be read yet."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.ingest import folder
from headrace.ingest.files import read_csv, read_json, read_parquet
from headrace.ingest.pulled import Report, State
from headrace.project import Table


def test_csv_values_are_typed_by_the_contract(visits: Table) -> None:
    first = "7,Ada,12.50,0.1,true,2026-01-01,2026-01-01T00:00:00Z,5"
    text = f"id,guest,paid,share,regular,day,left_at,note\n{first}\n8,,x,y,z,,,\n"
    first, second = read_csv(text.encode(), visits.contract, "a.csv")
    assert first.row == {
        "id": 7, "guest": "Ada", "paid": "12.50", "share": 0.1, "regular": True,
        "day": "2026-01-01", "left_at": "2026-01-01T00:00:00Z", "note": "5",
    }  # fmt: skip
    # What doesn't fit stays as it is: landing says what is wrong with it.
    assert second.row == {
        "id": 8, "guest": None, "paid": "x", "share": "y", "regular": "z", "day": None, "left_at": None, "note": None,
    }  # fmt: skip


def test_broken_lines_of_a_csv_are_handed_on_with_a_reason(visits: Table) -> None:
    raw = b'id,guest\n1,A\n2\n3,"C\nD"\n4,\xff\n5,E,F\n'
    lines = list(read_csv(raw, visits.contract, "a.csv"))
    assert [line.row for line in lines] == [
        {"id": 1, "guest": "A"},
        b"2",
        {"id": 3, "guest": "C\nD"},
        b"4,\xff",
        b"5,E,F",
    ]
    assert [line.error for line in lines if isinstance(line.row, bytes)] == [
        "line 3 of a.csv has 1 fields, not 2",
        "line 5 of a.csv is not UTF-8",
        "line 6 of a.csv has 3 fields, not 2",
    ]


def test_a_csv_without_the_required_columns_is_refused(visits: Table) -> None:
    with pytest.raises(ValueError, match="guest"):
        read_csv(b"id,name\n1,A\n", visits.contract, "a.csv")


@pytest.mark.parametrize("text", [b'{"id": 1}\n\nbad\n{"id": 2}', b'[{"id": 1}, 5, {"id": 2}]'], ids=["lines", "array"])
def test_json_objects(visits: Table, text: bytes) -> None:
    one, bad, two = read_json(text, visits.contract, "a.json")
    assert (one.row, two.row) == ({"id": 1}, {"id": 2})
    assert isinstance(bad.row, bytes)
    assert bad.error


def test_parquet_values_keep_their_exactness(visits: Table, tmp_path: Path) -> None:
    row = {"id": 1, "paid": Decimal("12.50"), "day": date(2026, 1, 1), "left_at": datetime(2026, 1, 1, 0, 0, 0, 5, UTC)}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    (line,) = read_parquet((tmp_path / "a.parquet").read_bytes(), visits.contract, "a.parquet")
    assert line.row == {"id": 1, "paid": "12.50", "day": "2026-01-01", "left_at": "2026-01-01T00:00:00.000005Z"}
    with pytest.raises(ValueError):
        read_parquet(b"no", visits.contract, "b.parquet")


def pulled(path: Path, table: Table, state: State) -> tuple[list[object], State, list[str]]:
    report, rows = Report(), []
    for lines, after in folder.steps(path, table, state, report):
        rows += [line.row for line in lines]
        state = after
    return rows, state, report.skipped


@pytest.fixture
def files(visits: Table) -> Table:
    return replace(visits, origin="*.csv", format="csv")


def test_each_new_or_changed_file_is_pulled_once_in_order(files: Table, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("id,guest\n2,B\n")
    (tmp_path / "a.csv").write_text("id,guest\n1,A\n")
    (tmp_path / ".c.csv").write_text("id,guest\n3,C\n")
    rows, state, _ = pulled(tmp_path, files, State())
    assert rows == [{"id": 1, "guest": "A"}, {"id": 2, "guest": "B"}]
    assert state.pull == 2
    os.utime(tmp_path / "a.csv")
    assert pulled(tmp_path, files, state) == ([], state, [])
    (tmp_path / "a.csv").write_text("id,guest\n1,A2\n")
    rows, state, _ = pulled(tmp_path, files, State.from_json(state.to_json()))
    assert (rows, state.pull) == ([{"id": 1, "guest": "A2"}], 3)


def test_what_cannot_be_read_yet_is_named_and_pulled_later(files: Table, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,guest\n1,A\n2,")
    (tmp_path / "b.csv").write_text("who\nA\n")
    (tmp_path / "c.csv").mkdir()
    (tmp_path / "d.csv").write_text("id,guest\n4,D\n")
    rows, state, skipped = pulled(tmp_path, files, State())
    assert rows == [{"id": 4, "guest": "D"}]
    assert [Path(reason.partition(":")[0]).name for reason in skipped] == ["a.csv", "b.csv", "c.csv"]
    with (tmp_path / "a.csv").open("a") as file:
        file.write("B\n")
    rows, _, skipped = pulled(tmp_path, files, state)
    assert (rows, len(skipped)) == ([{"id": 1, "guest": "A"}, {"id": 2, "guest": "B"}], 2)


def test_an_old_file_without_a_last_line_end_is_complete(files: Table, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,guest\n1,A")
    os.utime(tmp_path / "a.csv", (time.time() - 60, time.time() - 60))
    assert pulled(tmp_path, files, State())[0] == [{"id": 1, "guest": "A"}]


def test_a_folder_that_is_not_there_is_said(files: Table, tmp_path: Path) -> None:
    assert pulled(tmp_path / "no", files, State())[2] == [f"{tmp_path / 'no'} is not a folder"]
