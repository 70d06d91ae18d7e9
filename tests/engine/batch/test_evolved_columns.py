"""Columns that a source gained, in views: shown when their contract evolves, and in older rows once it names them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from headrace.batch.inputs import prepared_at
from headrace.batch.run import run
from headrace.lake import landing, observed, reading
from headrace.project import Column, Project, inspect, load
from headrace.project.observed import Added, Observed, keep
from headrace.serve.reading import query

from .conftest import contract, project_files

COLUMNS = "id integer key;paid decimal(6,2)"
FILES = project_files(
    {
        "bills": contract("bills", COLUMNS),
        "frozen": contract("frozen", COLUMNS, schemaChange="freeze"),
        "narrow": contract("narrow", COLUMNS, schemaChange="discard_column"),
    },
    {
        "jobs/batch/everything.sql": "SELECT * FROM bills\n",
        "jobs/batch/told.sql": """SELECT id, '' AS op, paid, tip, valid_to IS NULL AS valid FROM bills_history
UNION ALL SELECT id, op, paid, tip, NULL FROM bills_changes
UNION ALL SELECT 0, 'sum', SUM(paid), SUM(tip), NULL FROM bills
""",
        "jobs/batch/kept.sql": "SELECT id, tip FROM narrow\n",
    },
)


def bill(id: int, at: int, op: str = "c", **columns: object) -> dict[str, Any]:
    change: dict[str, Any] = {"op": op, "key": {"id": id}, "at": at, "position": f"{at:09d}"}
    return change | {"before" if op == "d" else "after": {"id": id, **columns}}


def grown(**wider: Column) -> Observed:
    tip = Column("tip", "number", precision=12, scale=4)
    return Observed(("id", "paid", "tip"), (1, "3"), {"tip": Added(tip, "bills/0/2", "", 1)}, wider)


def see(project: Project, table: str, seen: Observed) -> None:
    observed.record(landing.open_landing(project, table, "topic", 2), seen)
    keep(project.state, table, seen)


@pytest.fixture(scope="module")
def project(ground, make_project) -> Project:
    return make_project(FILES, on=ground)


def test_new_columns_and_wider_types_flow_to_the_views_without_a_change_of_any_file(project, land) -> None:
    land(project, "bills", [bill(1, 1, paid="1.10"), bill(2, 2, paid="2.20")])
    run(project, project.job("everything"))
    assert query(project, "SELECT * FROM everything ORDER BY id").columns == ("id", "paid")
    _, problems = inspect(project.root)
    assert {p.message for p in problems} >= {"no such column 'tip'"}
    see(project, "bills", grown(paid=Column("paid", "number", precision=12, scale=4)))
    wide = [bill(2, 3, "u", paid="20000.0005", tip="0.0001"), bill(3, 4, paid="3", tip="900000.5")]
    land(project, "bills", [*wide, bill(4, 5, paid="4", tip="4"), bill(4, 6, "d", paid="4", tip="4")])
    run(project, project.job("everything"))
    found = query(project, "SELECT * FROM everything ORDER BY id")
    assert found.columns == ("id", "paid", "tip")
    assert found.rows == [
        (1, Decimal("1.1"), None),
        (2, Decimal("20000.0005"), Decimal("0.0001")),
        (3, Decimal(3), Decimal("900000.5")),
    ]
    run(project, project.job("told"))
    told = query(project, "SELECT paid, tip, valid FROM told WHERE id = 2 AND op = '' ORDER BY valid").rows
    assert told == [(Decimal("2.2"), None, False), (Decimal("20000.0005"), Decimal("0.0001"), True)]
    assert query(project, "SELECT paid, tip FROM told WHERE op = 'd'").rows == [(Decimal(4), Decimal(4))]
    sums = query(project, "SELECT paid, tip FROM told WHERE op = 'sum'").rows
    assert sums == [(Decimal("20004.1005"), Decimal("900000.5001"))]
    assert reading.query(project, "SELECT sum(tip) FROM bills")[1] == [(Decimal("900000.5001"),)]
    messages = {p.message for p in inspect(project.root)[1]}
    assert messages == {"no such column 'tip'"}, "only the view of the table that discards new columns"


def test_a_past_run_is_computed_again_with_the_columns_of_its_time(project) -> None:
    job = project.job("everything")
    ready = prepared_at(project, job, {"bills": {0: 2}}, {"bills": f"{project.addresses.lake}/current/bills@0"})
    assert "tip" not in ready.views["bills"]


def test_when_the_contract_gains_the_column_rows_landed_before_show_it(project, land) -> None:
    for table in ("narrow", "frozen"):
        see(project, table, grown())
        land(project, table, [bill(1, 1, paid="1"), bill(2, 2, paid="2", tip="0.5")])
    assert [c.name for c in observed.effective(project, project.table("narrow")).contract.columns] == ["id", "paid"]
    for table in ("narrow", "frozen"):
        (project.root / f"schemas/{table}.yaml").write_text(contract(table, f"{COLUMNS};tip decimal(12,4)"))
    changed = load(project.root)
    assert not changed.problems
    run(changed, changed.job("kept"))
    assert query(changed, "SELECT id, tip FROM kept ORDER BY id").rows == [(1, None), (2, Decimal("0.5"))]
    assert inspect(project.root)[1] == ()
