"""The fold of landed rows by DuckDB, against a plain fold in Python over random histories."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.audit import lake_side
from headrace.audit.canonical import Compared
from headrace.audit.comparison import Side, compare
from headrace.audit.source_side import unseen_by
from headrace.errors import Place
from headrace.lake import paths, rows
from headrace.project import Column, Contract, Project, Table, load

COLUMNS = (
    Column("id", "integer", True, True),
    Column("paid", "number", precision=10, scale=2),
    Column("who", "string"),
)
CONTRACT = Contract("visits", "1.0.0", COLUMNS, Place(Path("visits.yaml")))
TABLE = Table("visits", "shop", "public.visits", "shop.public.visits", CONTRACT, Place(Path("shop.yml")))
ALL = Compared(COLUMNS)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "headrace.yml").write_text("name: audit\n")
    return load(tmp_path)


def land(project: Project, changes: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    common = {"partition": 0, "appended_at": now, "landing_date": now.date(), "epoch": 1, "snapshot": "false"}
    table = pa.Table.from_pylist([common | {"offset": i} | c for i, c in enumerate(changes)], schema=rows.LANDING)
    write_deltalake(paths.landing(project, "visits"), table, mode="overwrite", partition_by=["landing_date"])


def image(id_: int, paid: str | None, who: str | None = "Ada") -> str:
    return json.dumps({"id": id_, "paid": paid, "who": who}, separators=(",", ":"))


def change(op: str, id_: int, position: int, paid: str | None = "1.00", **more: Any) -> dict[str, Any]:
    after = None if op == "d" else image(id_, paid)
    return {"op": op, "key": f'{{"id":{id_}}}', "after": after, "position": f"{position:020d}/"} | more


def folded(project: Project, until: int, unseen: str = "false") -> lake_side.Folded:
    return lake_side.fold(connection(), project, TABLE, ALL, {0: until}, unseen)


def connection() -> duckdb.DuckDBPyConnection:
    found = duckdb.connect()
    found.execute("SET TimeZone = 'UTC'")
    return found


def keys(found: lake_side.Folded) -> set[int]:
    return {int(key[0]) for key in found.rows(set(range(1024)))}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("ccuudrt"), st.integers(1, 4), st.integers(0, 6), st.sampled_from(["1.00", "2.50"])),
        max_size=20,
    )
)
def test_any_history_folds_as_a_plain_fold_does(project: Project, history) -> None:
    changes, expected = [], {}
    for op, id_, position, paid in history:
        if op == "t":
            changes.append({"op": "t", "key": None, "after": None, "position": f"{position:020d}/"})
        else:
            changes.append(change(op, id_, position, paid))
    land(project, changes)
    floor = max((position for op, _, position, _ in history if op == "t"), default=-1)
    for offset, (op, id_, position, paid) in enumerate(history):
        if op != "t" and (position, offset) > expected.get(id_, ((-1, -1),))[0]:
            expected[id_] = ((position, offset), op, paid)
    there = {id_ for id_, ((position, _), op, _) in expected.items() if op != "d" and position >= floor}
    found = folded(project, len(history))
    assert keys(found) == there
    left = [[str(id_), expected[id_][2], "Ada"] for id_ in there]
    plain = connection()
    plain.execute("CREATE TABLE p (v VARCHAR[])")
    for row in left:
        plain.execute("INSERT INTO p VALUES (?)", [row])
    total = plain.execute(
        "SELECT sum(CAST('0x' || left(md5(array_to_string(v, chr(31))), 15) AS BIGINT)) FROM p"
    ).fetchone()
    assert sum(s for _, s in found.buckets().values()) == (total[0] or 0)


def test_rows_of_transactions_that_the_snapshot_does_not_see_are_left_out(project: Project) -> None:
    changes = [change("r", 1, 1, transaction_id="900"), change("c", 2, 2, transaction_id="749")]
    changes += [change("c", 3, 3, transaction_id="752"), change("c", 4, 4, transaction_id="755"), change("c", 5, 5)]
    land(project, changes)
    assert keys(folded(project, 9, unseen_by("750:755:752"))) == {1, 2, 5}
    assert keys(folded(project, 9, unseen_by("750:755:"))) == {1, 2, 3, 5}


def test_transactions_are_told_apart_after_their_numbers_begin_again(project: Project) -> None:
    land(project, [change("c", 1, 1, transaction_id=str(2**32 - 1)), change("c", 2, 2, transaction_id="5")])
    top = 7 * 2**32
    assert keys(folded(project, 9, unseen_by(f"{top}:{top + 3}:"))) == {1}
    assert keys(folded(project, 9, unseen_by(f"{top}:{top + 6}:"))) == {1, 2}


def test_an_update_of_the_key_takes_the_old_one_away(project: Project) -> None:
    moved = change("u", 2, 2) | {"before": image(1, "1.00")}
    land(project, [change("c", 1, 1), moved])
    assert keys(folded(project, 2)) == {2}


def test_the_end_of_a_new_snapshot_ends_what_it_does_not_have(project: Project) -> None:
    land(project, [change("c", 1, 9), change("r", 2, 1, epoch=2, snapshot="last")])
    assert keys(folded(project, 2)) == {2}


def test_a_row_whose_image_broke_the_contract_is_named_not_counted(project: Project) -> None:
    land(project, [change("c", 1, 1), change("u", 1, 2) | {"after": None}])
    found = folded(project, 2)
    assert keys(found) == set()
    assert found.rejected({1}) == {("1",)}


def test_what_differs_is_named_by_key(project: Project) -> None:
    land(project, [change("c", i, i) for i in range(1, 5)])
    whole = folded(project, 4)
    land(project, [change("c", 1, 1), change("c", 2, 2, "9.99"), change("c", 4, 4), change("c", 5, 5)])
    other = folded(project, 4)
    # DuckDB's tables are of one connection each, so both sides can be asked.
    found = compare(Side(whole.buckets(), whole.rows), Side(other.buckets(), other.rows, other.rejected))
    assert (found.missing, found.different, found.extra) == ((("3",),), (("2",),), (("5",),))
    assert compare(Side(whole.buckets(), whole.rows), Side(whole.buckets(), whole.rows)).equal
