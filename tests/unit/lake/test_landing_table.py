"""Landing tables on a local folder: append-only, compare-and-set on positions, compaction that changes no row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from headrace.errors import HeadraceError
from headrace.lake import landing, paths, rows
from headrace.project import Project, load

ID = "hYvM2k3bTVKq0o5m1w7c9A"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "headrace.yml").write_text("name: landing\n")
    return load(tmp_path)


def batch(*offsets: int, partition: int = 0, op: str = "c") -> pa.Table:
    now = datetime.now(UTC)
    row = {"op": op, "partition": partition, "appended_at": now, "landed_at": now, "landing_date": now.date()}
    return pa.Table.from_pylist([row | {"offset": o} for o in offsets], schema=rows.LANDING)


def rejected(*offsets: int) -> pa.Table:
    row = {"reason": "bad", "partition": 0, "landing_date": datetime.now(UTC).date()}
    return pa.Table.from_pylist([row | {"offset": o} for o in offsets], schema=rows.QUARANTINE)


def landed(project: Project) -> list[int]:
    return sorted(DeltaTable(paths.landing(project, "t")).to_pyarrow_table(columns=["offset"])["offset"].to_pylist())


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.delete("partition = 0"),
        lambda t: t.delete(),
        lambda t: t.update({"op": "'d'"}),
        lambda t: write_deltalake(t, batch(9), mode="overwrite"),
    ],
    ids=["delete", "delete all", "update", "overwrite"],
)
def test_landed_rows_cannot_be_changed(project: Project, change: Callable[[DeltaTable], object]) -> None:
    handle = landing.open_landing(project, "t", ID, 1)
    landing.append(handle, batch(0, 1), ID, {0: (0, 2)})
    with pytest.raises(DeltaError, match="append-only"):
        change(handle)
    assert landed(project) == [0, 1]


def test_positions_move_with_the_rows(project: Project) -> None:
    handle = landing.open_landing(project, "t", ID, 3)
    assert landing.positions(project, "t") == {0: 0, 1: 0, 2: 0}
    landing.append(handle, pa.concat_tables([batch(0, 4), batch(0, partition=2)]), ID, {0: (0, 5), 2: (0, 1)})
    landing.append(handle, batch(5, op="m"), ID, {0: (5, 6)})
    landing.append(handle, batch(), ID, {0: (6, 9)})  # a batch in which every row was rejected
    assert landing.positions(project, "t") == {0: 9, 1: 0, 2: 1}
    assert landing.data_positions(project, "t") == {0: 5, 1: 0, 2: 1}


def test_the_newest_change_of_a_partition_is_found_behind_markers(project: Project) -> None:
    handle = landing.open_landing(project, "t", ID, 2)
    assert landing.newest(handle, ID, 0) is None
    row = {"op": "c", "partition": 0, "landing_date": datetime.now(UTC).date()}
    changes = [row | {"offset": o, "position": f"p{o}", "key": f'{{"id":{o}}}'} for o in (0, 1)]
    landing.append(handle, pa.Table.from_pylist(changes, schema=rows.LANDING), ID, {0: (0, 2)})
    landing.append(handle, pa.concat_tables([batch(2, op="m"), batch(7, partition=1)]), ID, {0: (2, 3), 1: (0, 8)})
    assert landing.newest(handle, ID, 0) == ("p1", "c", '{"id":1}')
    assert landing.newest(landing.open_landing(project, "t", ID, 2), ID, 0) == ("p1", "c", '{"id":1}')
    # Also behind one that says that a snapshot is complete, which counts as data for views.
    for at, gap in ((3, 0), (4, 70), (75, 0)):
        marker = row | {"op": "m", "offset": at + gap, "snapshot": rows.COMPLETE}
        landing.append(handle, pa.Table.from_pylist([marker], schema=rows.LANDING), ID, {0: (at, at + gap + 1)})
        assert landing.data_positions(project, "t")[0] == at + gap + 1
        assert landing.newest(handle, ID, 0) == ("p1", "c", '{"id":1}')
    assert landing.newest(handle, ID, 1) == (None, "c", None)


def test_a_partition_of_completed_snapshots_alone_has_no_newest_change(project: Project) -> None:
    handle = landing.open_landing(project, "t", ID, 1)
    now = datetime.now(UTC)
    row = {"op": "m", "partition": 0, "snapshot": rows.COMPLETE, "landing_date": now.date()}
    data = pa.Table.from_pylist([row | {"offset": o} for o in (0, 900)], schema=rows.LANDING)
    landing.append(handle, data, ID, {0: (0, 901)})
    assert landing.newest(handle, ID, 0) is None


def test_a_table_that_was_never_landed_has_no_positions(project: Project) -> None:
    assert landing.positions(project, "t") == {}
    assert landing.last_landed(project, "t") is None


def test_a_stale_handle_cannot_land_a_range_again(project: Project) -> None:
    stale = landing.open_landing(project, "t", ID, 1)
    winner = landing.open_landing(project, "t", ID, 1)
    landing.append(winner, batch(0, 1), ID, {0: (0, 2)})
    with pytest.raises(landing.Stale):
        landing.append(stale, batch(0, 1), ID, {0: (0, 2)})
    assert landed(project) == [0, 1]


def test_nor_can_a_stale_member_that_opened_the_table_again(project: Project) -> None:
    """CORRECTNESS 6: Delta alone accepts this commit, since the handle knows everything that was committed before."""
    landing.append(landing.open_landing(project, "t", ID, 1), batch(0, 1), ID, {0: (0, 2)})
    again = landing.open_landing(project, "t", ID, 1)
    with pytest.raises(landing.Stale):
        landing.append(again, batch(0, 1), ID, {0: (0, 2)})
    with pytest.raises(landing.Stale):
        landing.append(again, batch(5), ID, {0: (5, 6)})  # nor one that would leave a gap
    assert landed(project) == [0, 1]


def test_members_on_different_partitions_do_not_disturb_each_other(project: Project) -> None:
    one, two = (landing.open_landing(project, "t", ID, 2) for _ in range(2))
    landing.append(one, batch(0), ID, {0: (0, 1)})
    landing.append(two, batch(0, partition=1), ID, {1: (0, 1)})
    landing.append(one, batch(1), ID, {0: (1, 2)})
    assert landing.positions(project, "t") == {0: 2, 1: 1}


def test_positions_outlive_checkpoints_and_compaction(project: Project) -> None:
    handle = landing.open_landing(project, "t", ID, 1)
    for offset in range(8):
        landing.append(handle, batch(offset), ID, {0: (offset, offset + 1)})
    assert landing.compact(paths.landing(project, "t")) == {"files_before": 8, "files_after": 1}
    assert landing.positions(project, "t") == {0: 8}
    assert landed(project) == list(range(8))
    landing.append(handle, batch(8), ID, {0: (8, 9)})  # the worker's handle is older than the compaction
    assert landed(project) == list(range(9))


def test_rows_without_a_stored_position_are_an_error(project: Project) -> None:
    handle = landing.open_landing(project, "t", ID, 2)
    write_deltalake(handle, batch(0, 1, partition=1), mode="append")  # somebody else's rows
    assert landing.stored(handle, ID, 0) == 0
    with pytest.raises(HeadraceError, match="no position"):
        landing.stored(handle, ID, 1)
    with pytest.raises(HeadraceError, match="no position"):
        landing.append(handle, batch(0, partition=1), ID, {1: (0, 1)})


def test_a_topic_that_was_made_anew_is_not_landed_into_the_old_table(project: Project) -> None:
    landing.open_landing(project, "t", ID, 1)
    with pytest.raises(HeadraceError, match="another topic"):
        landing.open_landing(project, "t", "AnotherTopicIdAltogeth", 1)


def test_more_partitions_are_taken_up(project: Project) -> None:
    landing.open_landing(project, "t", ID, 1)
    handle = landing.open_landing(project, "t", ID, 2)
    landing.append(handle, batch(0, partition=1), ID, {1: (0, 1)})
    assert landing.positions(project, "t") == {0: 0, 1: 1}


def test_a_batch_read_again_is_quarantined_once(project: Project) -> None:
    handle = landing.open_quarantine(project, "t")
    assert landing.append_quarantine(handle, rejected(3, 5), ID, {0: 6}) == 2
    # The worker died before it landed the batch; read again it holds the same rows and new ones.
    handle = landing.open_quarantine(project, "t")
    assert landing.append_quarantine(handle, rejected(3, 5), ID, {0: 6}) == 0
    assert landing.append_quarantine(handle, rejected(3, 5, 7), ID, {0: 9}) == 1
    assert handle.to_pyarrow_table(columns=["offset"])["offset"].to_pylist().count(7) == 1
    assert handle.count() == 3


def test_a_stale_member_cannot_quarantine_twice(project: Project) -> None:
    stale, winner = landing.open_quarantine(project, "t"), None
    winner = landing.open_quarantine(project, "t")
    landing.append_quarantine(winner, rejected(3), ID, {0: 6})
    with pytest.raises(landing.Stale):
        landing.append_quarantine(stale, rejected(3), ID, {0: 6})
    assert landing.open_quarantine(project, "t").count() == 1


def test_a_table_of_an_older_version_gets_the_columns_that_it_lacks(project: Project) -> None:
    old = pa.schema([field for field in rows.LANDING if field.name != "transaction_id"])
    properties = {landing.TOPIC_ID: ID, landing.PARTITIONS: "1", "delta.appendOnly": "true"}
    handle = DeltaTable.create(
        paths.landing(project, "t"), old, partition_by=["landing_date"], configuration=properties,
        raise_if_key_not_exists=False,
    )  # fmt: skip
    landing.append(handle, batch(0).select(old.names), ID, {0: (0, 1)})
    landing.append(landing.open_landing(project, "t", ID, 1), batch(1), ID, {0: (1, 2)})
    assert landed(project) == [0, 1]
    found = DeltaTable(paths.landing(project, "t")).to_pyarrow_table(columns=["offset", "transaction_id"])
    assert found["transaction_id"].to_pylist() == [None, None]
