"""Quality checks on real tables: Great Expectations, Spark, PostgreSQL. The tests of this file follow each other."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

import pytest

from headrace.audit.quality import check_table, check_view, problem
from headrace.batch.run import run
from headrace.errors import HeadraceError
from headrace.project import Project, load
from headrace.serve import schema
from headrace.serve.database import connect

from .conftest import project_files

BILLS = """schema:
  - name: bills
    quality:
      - {type: custom, engine: headrace, implementation: {rowCountChange: 50}, severity: error}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - name: guest
        logicalType: integer
        quality:
          - {type: custom, engine: headrace, implementation: {references: guests.id}, name: every bill has a guest}
      - name: amount
        logicalType: number
        physicalType: decimal(10,2)
        quality:
          - {metric: invalidValues, arguments: {minimum: 0}, mustBe: 0, severity: error}
"""
GUESTS = "schema:\n  - name: guests\n    properties:\n      - {name: id, logicalType: integer, primaryKey: true}\n"
TURNOVER = """schema:
  - name: turnover
    properties:
      - {name: guest, logicalType: integer, primaryKey: true}
      - name: total
        logicalType: number
        physicalType: decimal(20,2)
        required: true
        quality:
          - {metric: invalidValues, arguments: {maximum: 100}, mustBe: 0, severity: error}
"""
JOBS = {
    "jobs/batch/turnover.sql": "SELECT guest, SUM(amount) AS total FROM bills GROUP BY guest\n",
    "jobs/batch/best_guest.sql": "SELECT MAX(total) AS most FROM turnover\n",
    "schemas/turnover.yaml": TURNOVER,
}


@pytest.fixture(scope="module")
def project(ground, make_project) -> Project:
    made = make_project(project_files({"bills": BILLS, "guests": GUESTS}, JOBS), on=ground)
    assert made.problems == ()
    schema.ensure(made)
    return made


def bill(id: int, amount: str | None, op: str = "c", guest: int = 1) -> dict:
    row = {"id": id, "guest": guest, "amount": amount}
    return {"op": op, "key": {"id": id}, "after": None if op == "d" else row, "before": row if op == "d" else None}


def rows(project: Project, sql: str) -> list[tuple]:
    with connect(project) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


def turnover(project: Project) -> list[tuple]:
    return rows(project, "SELECT guest, total FROM batch.turnover ORDER BY 1")


def checked(project: Project) -> list[tuple]:
    return rows(project, "SELECT table_name, check_name, passed, unexpected FROM ops.quality ORDER BY id")


def test_a_run_evaluates_the_blocking_checks_that_somebody_wrote(project, land) -> None:
    land(project, "bills", [bill(1, "10.00"), bill(2, "20.50"), bill(3, "5.00", guest=9)])
    land(project, "guests", [{"op": "c", "key": {"id": 1}, "after": {"id": 1}}])
    assert run(project, project.job("turnover")).state == "succeeded"
    assert turnover(project) == [(1, Decimal("30.50")), (9, Decimal("5.00"))]
    assert sorted(checked(project)) == [
        ("bills", "amount invalidValues", True, 0),
        ("bills", "rowCountChange", True, None),
        ("turnover", "guest required", True, 0),
        ("turnover", "total invalidValues", True, 0),
        ("turnover", "total required", True, 0),
        ("turnover", "unique key", True, 0),
    ]
    assert run(project, project.job("best_guest")).state == "succeeded"


def test_a_blocking_check_that_fails_keeps_the_old_view(project, land) -> None:
    before, known = turnover(project), len(checked(project))
    land(project, "bills", [bill(4, "-1.00")])
    with pytest.raises(HeadraceError) as error:
        run(project, project.job("turnover"))
    first, second = error.value.problems
    assert first.message == "turnover was not published, its readers keep the old rows: a blocking check failed"
    said = "bills: 'amount invalidValues' failed for 1 of 4 rows, such as amount=-1.00, id=4"
    assert second.message == said
    assert str(second.place).endswith("schemas/bills.yaml:15")
    assert turnover(project) == before
    state, why = rows(project, "SELECT state, error FROM ops.runs ORDER BY started_at DESC LIMIT 1")[0]
    assert (state, said in why) == ("failed", True)
    assert len(checked(project)) == known + 2
    with pytest.raises(HeadraceError, match=r"amount=-1\.00, id=4"):
        run(project, project.job("turnover"))  # the answer about this version is known
    assert len(checked(project)) == known + 2
    land(project, "bills", [bill(4, "1.00", op="u")])
    run(project, project.job("turnover"))
    assert turnover(project)[0] == (1, Decimal("31.50"))


def test_every_check_of_a_table_and_references_that_lead_nowhere(project) -> None:
    contract = project.contracts["bills"]
    # A process was killed while it wrote: the folder is made anew.
    (project.state / "quality/bills/gx/great_expectations.yml").write_text("{")
    report = check_table(project, contract)
    found = {r.check.name: (r.passed, r.unexpected, r.examples) for r in report.results}
    assert found["every bill has a guest"] == (False, 1, ("guest without guests.id=9, id=3",))
    assert {n: passed for n, (passed, *_) in found.items() if n != "every bill has a guest"} == {
        "id required": True,
        "amount invalidValues": True,
        "unique key": True,
        "rowCountChange": True,
    }
    assert problem([report]) is None  # it does not block
    assert report.docs.is_file()
    pages = list(report.docs.parent.glob("validations/**/*.html"))
    assert any("guest without guests.id" in page.read_text() for page in pages)
    settings = (report.docs.parents[3] / "great_expectations.yml").read_text()
    assert "analytics_enabled: false" in settings


def test_a_result_that_its_own_contract_refuses_is_not_published(project, land) -> None:
    before = turnover(project)
    land(project, "bills", [bill(5, "99.00")])
    with pytest.raises(HeadraceError, match=r"turnover: 'total invalidValues' failed for 1 of 2 rows"):
        run(project, project.job("turnover"))
    assert turnover(project) == before
    assert all(r.passed for r in check_view(project, project.job("turnover")).results)  # the published rows are right
    run(project, project.job("best_guest"))  # who reads the view reads what is published
    assert rows(project, "SELECT most FROM batch.best_guest") == [(Decimal("31.50"),)]


def test_a_table_that_lost_rows_blocks_until_somebody_accepts(project, land) -> None:
    land(project, "bills", [bill(id, None, op="d") for id in (2, 3, 4, 5)])
    for _ in range(2):
        with pytest.raises(HeadraceError, match="'rowCountChange' failed: 1") as error:
            run(project, project.job("turnover"))
        assert error.value.problems[1].hint == "if so many rows are right: headrace quality bills --accept"
    assert problem([check_table(project, project.contracts["bills"])])
    assert problem([check_table(project, project.contracts["bills"], accept=True)]) is None
    run(project, project.job("turnover"))
    assert turnover(project) == [(1, Decimal("10.00"))]


def test_the_verb_lists_results_and_fails_for_blocking_ones_only(project, land, capsys, monkeypatch) -> None:
    from headrace.cli import main

    def verb(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["headrace", "-C", str(project.root), "quality", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    status, out, _ = verb("base.bills", "--format", "json")
    assert status == 0
    assert {line["check"]: line["result"] for line in json.loads(out)}["unique key"] == "passed"
    land(project, "bills", [bill(1, "-3.00", op="u")])
    status, out, err = verb("bills")
    assert status == 1
    assert "amount invalidValues" in out
    assert "'amount invalidValues' failed for 1 of 1 rows, such as amount=-3.00, id=1" in err
    assert verb("nobody")[0] == 1


def test_a_run_without_blocking_checks_leaves_no_trace(project) -> None:
    known = len(checked(project))
    for path, text in (("schemas/bills.yaml", BILLS.replace("severity: error", "severity: warning")),):
        (project.root / path).write_text(text)
    (project.root / "schemas/turnover.yaml").unlink()
    assert run(load(project.root), project.job("turnover")).state == "succeeded"
    assert len(checked(project)) == known
    assert turnover(project) == [(1, Decimal("-3.00"))]
