"""Files of a pull: rows as the bus carries them, each file once, nothing lost that can't be read yet."""

from __future__ import annotations

import io
import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.project import Table
from headrace.pulls import folder
from headrace.pulls.files import read_csv, read_json, read_parquet
from headrace.pulls.pulled import Report, State


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
    with pytest.raises(ValueError, match="names the column guest twice"):
        read_csv(b"id,guest,guest\n1,A,B\n", visits.contract, "a.csv")


@pytest.mark.parametrize("text", [b'{"id": 1}\n\nbad\n{"id": 2}', b'[{"id": 1}, 5, {"id": 2}]'], ids=["lines", "array"])
def test_json_objects(visits: Table, text: bytes) -> None:
    one, bad, two = read_json(text, visits.contract, "a.json")
    assert (one.row, two.row) == ({"id": 1}, {"id": 2})
    assert isinstance(bad.row, bytes)
    assert bad.error


def test_parquet_values_keep_their_exactness(visits: Table, tmp_path: Path) -> None:
    row = {
        "id": 1,
        "guest": "A",
        "paid": Decimal("12.50"),
        "day": date(2026, 1, 1),
        "left_at": datetime(2026, 1, 1, 0, 0, 0, 5, UTC),
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    (line,) = read_parquet((tmp_path / "a.parquet").read_bytes(), visits.contract, "a.parquet")
    assert line.row == {
        "id": 1,
        "guest": "A",
        "paid": "12.50",
        "day": "2026-01-01",
        "left_at": "2026-01-01T00:00:00.000005Z",
    }
    with pytest.raises(ValueError):
        read_parquet(b"no", visits.contract, "b.parquet")


def test_json_numbers_and_moments_stay_exact(visits: Table) -> None:
    text = b"""{"id": 1, "paid": 0.10, "share": 0.10, "left_at": "2026-01-01T02:00:00.5+02:00",
        "note": 12345678901234.56, "long": 0.1234567890123456789, "huge": 123456789012345678901234567890,
        "extra": {"deep": [1.10, 3.14159265358979323846]}}"""
    (line,) = read_json(text.replace(b"\n", b""), visits.contract, "a.json")
    assert line.row == {
        "id": 1, "paid": "0.10", "share": 0.1, "left_at": "2026-01-01T00:00:00.500000Z",
        "note": 12345678901234.56, "long": "0.1234567890123456789", "huge": "123456789012345678901234567890",
        "extra": {"deep": [1.1, "3.14159265358979323846"]},
    }  # fmt: skip
    rows = read_json(b'[{"paid": 12345678901234.56}, {"paid": 1.5E+3}, {"paid": -7}]', visits.contract, "a.json")
    assert [line.row["paid"] for line in rows] == ["12345678901234.56", "1500", -7]  # type: ignore[index]


def test_lines_and_elements_of_json_that_cannot_be_read_are_named(visits: Table) -> None:
    raw = b'\xef\xbb\xbf{"id": 1}\n{"id": "\xff"}\n{"id": NaN}\n[2]\n{"share": 1e999}\n' + b'{"a":' * 5000
    lines = list(read_json(raw, visits.contract, "a.json"))
    assert lines[0].row == {"id": 1}
    assert [(line.row[:14], line.error) for line in lines[1:]] == [  # type: ignore[index]
        (b'{"id": "\xff"}', "line 2 of a.json is not UTF-8"),
        (b'{"id": NaN}', "line 3 of a.json is not JSON: NaN"),
        (b"[2]", "line 4 of a.json is not an object"),
        (b'{"share": 1e99', "line 5 of a.json: share: the number 1e999 is too large"),
        (b'{"a":{"a":{"a"', "line 6 of a.json is nested too deep"),
    ]
    one, two = read_json(b' [{"id": 1}, "x"]', visits.contract, "b.json")
    assert (one.row, two.row, two.error) == ({"id": 1}, b'"x"', "element 2 of b.json is not an object")
    with pytest.raises(ValueError, match="line 1, column"):
        read_json(b'[{"id": 1}, {"id"', visits.contract, "b.json")


def test_values_of_a_csv_that_json_cannot_say_stay_text(visits: Table) -> None:
    text = "id,guest,share\n99999999999999999999,A,nan\n1_0,B\u2028C,inf\n"
    assert [line.row for line in read_csv(text.encode(), visits.contract, "a.csv")] == [
        {"id": "99999999999999999999", "guest": "A", "share": "nan"},
        {"id": "1_0", "guest": "B\u2028C", "share": "inf"},
    ]
    long = "id,guest\n1,A\n2," + '"' + "x" * 200_000
    assert [line.number for line in read_csv(long.encode(), visits.contract, "a.csv")] == [1, 2]


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_a_damaged_parquet_file_gives_no_row(visits: Table) -> None:
    good = parquet(pa.table({"id": range(50_000), "guest": [f"guest {n}" for n in range(50_000)]}))
    assert sum(1 for _ in read_parquet(good, visits.contract, "a.parquet")) == 50_000
    for cut in (0, 4, 8, 100, len(good) - 1):
        with pytest.raises(ValueError, match="no Parquet footer"):
            read_parquet(good[:cut], visits.contract, "a.parquet")
    middle = len(good) // 2
    with pytest.raises(ValueError, match="damaged"):
        read_parquet(good[:middle] + b"\xff" * 2000 + good[middle + 2000 :], visits.contract, "a.parquet")
    with pytest.raises(ValueError, match="lacks the column guest; it has: id"):
        read_parquet(parquet(pa.table({"id": [1]})), visits.contract, "a.parquet")
    with pytest.raises(ValueError, match="the column id twice"):
        read_parquet(parquet(pa.table([[1], [2], ["A"]], names=["id", "id", "guest"])), visits.contract, "a.parquet")


def test_parquet_values_that_cannot_be_read_cost_their_row_only(visits: Table) -> None:
    names = pa.array([b"A", b"\xff", b"C"]).view(pa.string())
    moments = pa.array([0, 0, 2**62], pa.timestamp("us", "UTC"))
    table = pa.table({"id": [1, 2, 3], "guest": names, "left_at": moments, "share": [1.5, float("nan"), 2.0]})
    one, two, three = read_parquet(parquet(table), visits.contract, "a.parquet")
    assert one.row == {"id": 1, "guest": "A", "left_at": "1970-01-01T00:00:00.000000Z", "share": 1.5}
    assert isinstance(two.row, bytes) and b'"guest": "\xff"' in two.row
    assert two.error == "row 2 of a.parquet: guest is not UTF-8"
    assert isinstance(three.row, bytes) and three.error.startswith("row 3 of a.parquet: left_at: ")


def test_nested_and_fine_grained_parquet_values_can_be_carried(visits: Table) -> None:
    nanos = pa.array([1_000_000_001], pa.timestamp("ns"))
    extra = pa.array([{"paid": [Decimal("0.10")], "at": datetime(2026, 1, 1, tzinfo=UTC)}])
    table = pa.table({"id": [1], "guest": ["A"], "left_at": nanos, "extra": extra, "share": [float("nan")]})
    (line,) = read_parquet(parquet(table), visits.contract, "a.parquet")
    assert line.row == {
        "id": 1, "guest": "A", "left_at": "1970-01-01T00:00:01.000000001Z",
        "extra": {"paid": ["0.10"], "at": "2026-01-01T00:00:00.000000Z"}, "share": "nan",
    }  # fmt: skip


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


def test_a_json_or_parquet_file_that_is_being_written_waits(visits: Table, tmp_path: Path) -> None:
    table = replace(visits, origin="*", format="json")
    whole = b'{"id": 1, "tags": [1]}\n{"id": 2, "tags": [2]}\n'
    (tmp_path / "a").write_bytes(whole[: whole.rindex(b"]") + 1])  # cut where an array would end
    (tmp_path / "b").write_bytes(b'[{"id": 3},')
    rows, state, skipped = pulled(tmp_path, table, State())
    assert (rows, len(skipped)) == ([], 2)
    (tmp_path / "a").write_bytes(whole)
    (tmp_path / "b").write_bytes(b'[{"id": 3}]')
    assert len(pulled(tmp_path, table, state)[0]) == 3
    (tmp_path / "a").unlink()
    whole = parquet(pa.table({"id": [1], "guest": ["A"]}))
    (tmp_path / "b").write_bytes(whole[:-9])
    table = replace(table, format="parquet")
    rows, state, skipped = pulled(tmp_path, table, State())
    assert rows == [] and "no Parquet footer" in skipped[0]
    (tmp_path / "b").write_bytes(whole)
    assert pulled(tmp_path, table, state)[0] == [{"id": 1, "guest": "A"}]


def test_a_folder_that_is_not_there_is_said(files: Table, tmp_path: Path) -> None:
    assert pulled(tmp_path / "no", files, State())[2] == [f"{tmp_path / 'no'} is not a folder"]


def test_a_link_out_of_the_folder_is_not_followed(files: Table, tmp_path: Path) -> None:
    """Whoever may drop files into a folder may not have others of the machine read."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, place in (("hidden.csv", tmp_path), ("mine.csv", inbox)):
        (place / name).write_text("id,guest\n1,A\n")
    (inbox / "other.csv").symlink_to(tmp_path / "hidden.csv")
    (inbox / "same.csv").symlink_to("mine.csv")
    _, state, skipped = pulled(inbox, files, State())
    assert skipped == [f"{inbox / 'other.csv'}: a link that leads out of the folder is not read"]
    assert "other.csv" not in str(state)
