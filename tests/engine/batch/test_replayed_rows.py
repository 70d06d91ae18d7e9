"""Rows that were replayed out of quarantine, as landing has them, in the current table that Spark folds."""

from __future__ import annotations

from typing import Any

from deltalake import DeltaTable

from headrace.batch.current import refresh
from headrace.batch.session import session
from headrace.serve import schema

from .conftest import contract, project_files


def change(id: int, position: str, n: int | None, before: int | None = None) -> dict[str, Any]:
    images = {image: {"id": id, "n": value} for image, value in (("after", n), ("before", before)) if value is not None}
    return {"op": "u", "key": {"id": id}, "position": position, **images}


def test_a_replayed_row_appears_unless_a_newer_one_is_there(ground, make_project, land) -> None:
    project = make_project(project_files({"mended": contract("mended", "id integer key;n integer")}, {}), on=ground)
    schema.ensure(project)

    def folded() -> dict[int, int]:
        current = refresh(project, project.table("mended"), lambda: session(project))
        rows = DeltaTable(current.path).to_pyarrow_table().to_pylist()
        return {row["id"]: row["n"] for row in rows if not row["_deleted"]}

    # The second change of each key broke the contract: landed without after-image, the key has no valid row.
    land(project, "mended", [change(i, "10", 1) for i in (1, 2)] + [change(i, "20", None, before=1) for i in (1, 2)])
    assert folded() == {}
    land(project, "mended", [change(2, "30", 3)])
    assert folded() == {2: 3}
    land(project, "mended", [change(1, "20", 2), change(2, "20", 2)])  # replayed at their old positions
    assert folded() == {1: 2, 2: 3}
