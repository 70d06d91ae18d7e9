"""A speed layer that lost a message, or computes otherwise: found before the switch, explained, not hidden by another
try, and repaired."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.live import cut as cuts
from headrace.live import run as live
from headrace.project import Project
from headrace.serve import live as serve
from headrace.serve.database import connect
from headrace.sql.live.flink import Flink
from tests.engine.batch.conftest import contract, project_files

from .conftest import COLUMNS, Table, shown

ROOT = Path(__file__).parents[3]
SALES, VIEW = "live_repair_sales", "live_repair"
QUERY = f"SELECT shop, SUM(amount) AS total, COUNT(*) AS n FROM {SALES} GROUP BY shop"
COUNTED = "shop, total, n"


def headrace(project: Project, view: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from headrace.cli import main; main()", "reconcile", view, *arguments]
    return subprocess.run([*command, "-C", str(project.root)], capture_output=True, text=True, cwd=ROOT)


def version_of(project: Project, view: str) -> tuple[str, int, int]:
    with connect(project) as connection:
        known = serve.published(connection, view)
    assert known
    return known.version, known.generation, known.cut


def pass_by(project: Project, table: Table, view: str) -> None:
    """Until a cut may lie past everything that the speed layer has."""
    with connect(project) as connection:
        newest = connection.execute(f"SELECT max(chunk) FROM speed.s_{version_of(project, view)[0]}").fetchone()  # type: ignore[arg-type]
    assert newest
    cuts.mark_past(project, table.table, newest[0], project.settings.chunk_seconds)


def test_a_lost_message_is_found_and_repaired(live_project: Callable[..., Project], until: Callable[..., Any]):
    files = project_files({SALES: contract(SALES, COLUMNS)}, {f"jobs/batch/{VIEW}.sql": f"-- live: true\n{QUERY}\n"})
    project = live_project(files)
    table, job = Table(project, SALES), project.job(VIEW)

    def agrees() -> bool:
        return shown(project, VIEW, COUNTED) == table.plain(QUERY)

    def version() -> tuple[str, int, int]:
        return version_of(project, VIEW)

    def alerts() -> list[Any]:
        with connect(project, "reader") as connection:
            query = "SELECT differing, causes, is_open FROM alerts.headrace_reconciliation WHERE view = %s"
            return connection.execute(query, (VIEW,)).fetchall()

    live.run(project, job)
    for _ in range(20):
        table.insert()
    until(agrees, 20, "the speed layer has the inserts")
    before = version()
    with connect(project) as connection:  # as if the job had not counted one message
        speed = f"speed.s_{before[0]}"
        one = f"(SELECT group_key, chunk, part FROM {speed} ORDER BY k1, chunk, part LIMIT 1)"
        lose = f"UPDATE {speed} SET images = images - 1, row_count = row_count - 1"
        assert connection.execute(f"{lose} WHERE (group_key, chunk, part) = {one}").rowcount == 1  # type: ignore[arg-type]
    pass_by(project, table, VIEW)
    wrong = shown(project, VIEW, COUNTED)
    for _ in range(2):  # another try does not hide it
        with pytest.raises(HeadraceError, match=rf"'{VIEW}' differ in 1 of \d+ keys \(1 dropped\)"):
            live.run(project, job)
        done = headrace(project, VIEW)
        assert (done.returncode, done.stdout.splitlines()[0]) == (1, f"{VIEW}: different"), done.stderr
        assert alerts() == [(1, {"dropped": 1}, True)]
    assert version() == before and shown(project, VIEW, COUNTED) == wrong
    repaired = headrace(project, VIEW, "--repair")
    assert repaired.returncode == 0, repaired.stderr + repaired.stdout
    assert "with a new speed layer (generation 1)" in repaired.stdout
    assert version()[1] == 1 and version()[0] != before[0]
    assert agrees() and alerts() == [(1, {"dropped": 1}, False)]
    table.insert()
    until(agrees, 20, "the new speed layer goes on")
    pass_by(project, table, VIEW)
    assert live.run(project, job).state == "succeeded"
    assert headrace(project, VIEW).stdout.startswith(f"{VIEW}: equal")


def test_a_wrong_generator_is_found_by_its_sums_and_repaired_when_it_is_right(
    live_project: Callable[..., Project], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    """As if a version of Headrace had written one function wrongly for Flink, and the next one did not."""
    sales, view = "live_code_sales", "live_code"
    query = f"SELECT shop, SUM(COALESCE(amount, 5.00)) AS total, COUNT(*) AS n FROM {sales} GROUP BY shop"
    files = project_files({sales: contract(sales, COLUMNS)}, {f"jobs/batch/{view}.sql": f"-- live: true\n{query}\n"})
    project = live_project(files)
    table, job = Table(project, sales), project.job(view)
    with monkeypatch.context() as wrongly:
        wrongly.setattr(Flink, "_coalesce", lambda self, node: self.text(node.args[0]))
        live.run(project, job)
    for _ in range(40):
        table.insert()
    until(lambda: sum(n for _, _, n in shown(project, view, COUNTED)) == 40, 20, "the speed layer has the inserts")
    right = table.plain(query)
    wrong = {shop for shop, *_ in set(right) - set(shown(project, view, COUNTED))}
    assert wrong, "no shop has a sale without an amount"
    pass_by(project, table, view)
    with pytest.raises(HeadraceError, match=rf"differ in {len(wrong)} of \d+ keys \({len(wrong)} code version\)"):
        live.run(project, job)
    assert version_of(project, view)[1] == 0
    repaired = headrace(project, view, "--repair")
    assert repaired.returncode == 0, repaired.stderr + repaired.stdout
    assert shown(project, view, COUNTED) == right
    table.insert()
    until(lambda: shown(project, view, COUNTED) == table.plain(query), 20, "the new speed layer goes on")
