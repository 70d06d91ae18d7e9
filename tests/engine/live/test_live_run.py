"""A live view from its first run on: every row on exactly one side, whatever is cut, switched or begun anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.live.run import run
from headrace.project import Project
from headrace.serve import live as serve
from headrace.serve.database import connect
from tests.engine.batch.conftest import contract, project_files

from .conftest import COLUMNS, Table, polled, shown, write_job

SALES, VIEW = "live_run_sales", "live_run"
QUERY = f"""SELECT shop, CAST(placed AS DATE) AS day, SUM(amount) AS total, COUNT(*) AS n, COUNT(amount) AS paid
FROM {SALES} WHERE kind IS NULL OR kind <> 'void' GROUP BY shop, CAST(placed AS DATE)"""
COUNTED = "shop, day, total, n, paid"
Live = tuple[Project, Table]


@pytest.fixture(scope="module")
def live(live_project: Callable[..., Project]) -> Live:
    files = project_files({SALES: contract(SALES, COLUMNS)}, {f"jobs/batch/{VIEW}.sql": f"-- live: true\n{QUERY}\n"})
    project = live_project(files)
    return project, Table(project, SALES)


def test_every_row_is_on_one_side(live: Live, until: Callable[..., Any]):
    project, table = live
    job = project.job(VIEW)

    def agrees() -> bool:
        return shown(project, VIEW, COUNTED) == table.plain(QUERY)

    assert run(project, job).state == "succeeded"
    assert shown(project, VIEW) == []
    for _ in range(30):
        table.insert()
    until(agrees, 20, "the speed layer has the inserts")
    assert {p for (p,) in shown(project, VIEW, "provisional")} == {1.0}
    with polled(project, f"SELECT count(*), sum(n) FROM live.{VIEW}") as counts:
        for _ in range(4):
            for _ in range(20):
                table.anything()
            done = run(project, job)
            assert done.state == "succeeded" and not done.note, done
            until(agrees, 20, "both layers have the changes")
    assert None not in counts and len(counts) > 10
    with connect(project, "reader") as connection:
        found = connection.execute("SELECT state, keys FROM ops.reconciliation WHERE view = %s ORDER BY at", (VIEW,))
        states = found.fetchall()
    # One whose chunks had not ended yet has nothing to compare.
    assert {s for s, _ in states} == {"equal", "unproven"} and sum(s == "equal" and k > 0 for s, k in states) >= 3
    assert run(project, job, full=True).state == "succeeded"
    assert agrees()


def test_what_has_no_sign_waits_for_a_full_run(live: Live, until: Callable[..., Any]):
    project, table = live
    run(project, project.job(VIEW))
    before = shown(project, VIEW, COUNTED)
    table.rows[table.next_id] = row = table.row(table.next_id) | {"kind": "open"}
    table.next_id += 1
    table.send("r", None, row, snapshot="true")
    done = run(project, project.job(VIEW))
    assert "computed in full" in done.note
    assert shown(project, VIEW, COUNTED) == table.plain(QUERY) != before


def test_a_changed_query_shows_old_rows_until_it_has_caught_up(live: Live, until: Callable[..., Any]):
    project, table = live
    other = QUERY.replace("SUM(amount) AS total", "SUM(amount * 2) AS total")
    project = write_job(project, VIEW, f"-- live: true\n{other}\n")
    for _ in range(10):
        table.anything()
    until(lambda: shown(project, VIEW, COUNTED) == table.plain(QUERY), 20, "the old version has them")
    with polled(project, f"SELECT sum(n) FROM live.{VIEW}") as counts:
        assert run(project, project.job(VIEW)).state == "succeeded"
    assert set(counts) == {sum(r[3] for r in table.plain(QUERY))}
    assert shown(project, VIEW, COUNTED) == table.plain(other)
    with connect(project) as connection:
        known = serve.published(connection, VIEW)
        left = connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^[bs]_[0-9a-f]{16}$'").fetchone()
    assert known and left == (2,)
    table.insert()
    until(lambda: shown(project, VIEW, COUNTED) == table.plain(other), 20, "the new version goes on")
