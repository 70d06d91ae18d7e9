"""Code versions, the shape of state, and the key that a plan shows."""

from collections.abc import Callable

import pytest

from headrace.errors import HeadraceError
from headrace.project import Job, Project, load
from headrace.stream import plan

SUMS = """== Optimized Physical Plan ==
whatever
== Optimized Execution Plan ==
Sink(table=[headrace_postgres], fields=[account, n])
+- GroupAggregate(groupBy=[account], select=[account, SUM({}) AS n])
   +- Exchange(distribution=[hash[account]])
      +- Calc(select=[account, fee], where=[(fee > {})])
         +- TableSourceScan(table=[[visits_bus]], fields=[a])
"""
TEXT = "-- key: id\nSELECT id FROM visits_changes\n"


def test_state_fits_when_only_a_filter_changed() -> None:
    assert plan.shape(SUMS.format("fee", 1)) == plan.shape(SUMS.format("fee", 2))


def test_state_does_not_fit_the_sum_of_another_column() -> None:
    assert plan.shape(SUMS.format("fee", 1)) != plan.shape(SUMS.format("tip", 1))


def test_a_query_that_changes_rows_of_another_key_is_refused(make_job: Callable[..., Job]) -> None:
    explained = SUMS.format("fee", 1).replace("fields=[account, n]", "fields=[account, n], upsertMaterialize=[true]")
    job = make_job(TEXT)
    with pytest.raises(HeadraceError) as error:
        plan.check_key(job, explained)
    assert error.value.problems[0].place.line == 1  # type: ignore[union-attr]
    assert "-- key: account" in error.value.problems[0].hint
    plan.check_key(job, SUMS.format("fee", 1))


def test_the_code_version_follows_the_text_and_the_contract_not_the_address(
    make_job: Callable[..., Job], clinic: Project
) -> None:
    job = make_job(TEXT)
    before = plan.code_version(clinic, job)
    (clinic.root / "headrace.yml").write_text("name: clinic\nbus: other:9092\n")
    assert plan.code_version(load(clinic.root), job) == before
    contract = clinic.root / "schemas" / "visits.yaml"
    contract.write_text(contract.read_text().replace("90s", "91s"))
    assert plan.code_version(load(clinic.root), job) != before
    assert plan.code_version(clinic, make_job(TEXT + "-- more\n")) != before


def test_an_input_named_twice_is_declared_once(make_job: Callable[..., Job], clinic: Project) -> None:
    job = make_job("-- key: id\nSELECT a.id FROM visits_changes a JOIN visits_changes b ON a.id = b.id\n")
    assert len(plan.input_statements(clinic, job)) == 2


def test_checkpoints_lie_in_the_projects_state_unless_the_cluster_is_not_ours(
    make_job: Callable[..., Job], clinic: Project
) -> None:
    job = make_job(TEXT)
    assert plan.options(clinic, job)["execution.checkpointing.dir"].endswith("/.headrace/flink/checkpoints/dear_visit")
    (clinic.root / "headrace.yml").write_text("name: clinic\nflink: {rest: http://f:8081, gateway: http://f:8083}\n")
    assert "execution.checkpointing.dir" not in plan.options(load(clinic.root), job)
