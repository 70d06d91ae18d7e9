"""What happens to a running job when its file changes, and when its file is wrong."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.stream import ensure as stream
from headrace.stream.watch import list_jobs

# An updating query: a row changes with every refund and goes when the sum reaches 1000.
SUMS = """-- What each order has had refunded, while it is below 1000.
-- key: {key}
SELECT order_id, {what} AS refunded{more} FROM refunds_changes WHERE amount > {least} AND op <> 'd'
GROUP BY order_id HAVING {what} < 1000
"""


def sums(company, what="SUM(amount)", least=0, key="order_id", more=""):
    company.write_job("refunded", SUMS.format(what=what, least=least, key=key, more=more))
    return stream.ensure(company.project, "refunded")


def refund(company, id: int, order_id: int, amount: str) -> None:
    row = {"id": id, "payment_id": 1, "order_id": order_id, "amount": amount, "reason": None}
    company.change("payments.payments.refunds", {**row, "created_at": "2026-01-01T00:00:00Z"})


def refunded(company):
    return dict(company.rows("SELECT order_id, refunded::text FROM alerts.refunded"))


def test_rows_of_an_updating_query_change_and_go(company, until):
    assert sums(company)["action"] == "started from the beginning"
    refund(company, 1, 51, "10.00")
    refund(company, 2, 51, "5.50")
    refund(company, 3, 52, "700.00")
    until(lambda: refunded(company) == {51: "15.50", 52: "700.00"}, 30, "two sums")
    refund(company, 4, 52, "300.00")
    until(lambda: refunded(company) == {51: "15.50"}, 30, "the sum that reached 1000 is gone")
    until(lambda: ({"order_id": 52}, None) in company.on_topic("alerts.refunded"), 20, "its tombstone")


def test_another_filter_keeps_what_was_summed(company, until):
    done = sums(company, least=1)
    assert done["action"] == "restarted with new code, state kept"
    refund(company, 5, 51, "4.50")
    until(lambda: refunded(company) == {51: "20.00"}, 30, "the sum goes on")


def test_another_sum_starts_without_state_at_the_offsets_reached_and_says_so(company, until):
    until(lambda: company.read_by("refunded"), 30)
    done = sums(company, what="SUM(id * 1.00)")
    assert done["action"] == "restarted with new code, without state"
    assert "nothing is remembered" in done["note"]
    refund(company, 6, 53, "2.00")
    until(lambda: refunded(company).get(53) == "6.00", 30, "only what came afterwards is summed")
    ((note,),) = company.rows("SELECT note FROM ops.stream_jobs WHERE job = 'refunded'")
    assert "without state" in note


def test_full_reads_again_from_the_beginning_into_an_empty_table(company, until):
    company.write_job("refunded", SUMS.format(what="SUM(amount)", least=0, key="order_id", more=""))
    assert stream.ensure(company.project, "refunded", full=True)["action"] == "started from the beginning"
    until(lambda: refunded(company) == {51: "20.00", 53: "2.00"}, 30, "sums of all refunds ever")


def test_a_new_column_is_added_to_the_alerts_there_are(company, until):
    before = refunded(company)
    sums(company, more=", COUNT(*) AS times")
    assert refunded(company) == before
    refund(company, 7, 54, "1.00")
    until(lambda: company.rows("SELECT times FROM alerts.refunded WHERE order_id = 54") == [(1,)], 30)


def test_a_mistake_is_shown_at_its_line_and_the_running_version_goes_on(company, until):
    before = stream.ensure(company.project, "refunded")
    with pytest.raises(HeadraceError) as error:
        sums(company, more=", MAX(amout) AS most")
    problem = error.value.problems[0]
    assert (problem.place.path.name, problem.place.line) == ("refunded.sql", 3)
    assert problem.hint == "did you mean 'amount'?"
    (row,) = [r for r in list_jobs(company.project) if r["job"] == "refunded"]
    assert (row["state"], row["flink_job_id"]) == ("RUNNING", before["flink_job_id"])
    assert "refunded.sql:3" in row["error"]


def test_a_key_that_is_not_the_querys_is_refused(company):
    with pytest.raises(HeadraceError, match="is not the query's key") as error:
        sums(company, key="refunded")
    assert "-- key: order_id" in error.value.problems[0].hint


def test_a_job_whose_file_is_gone_is_stopped(company):
    (company.project.root / "jobs" / "stream" / "refunded.sql").unlink()
    assert stream.retire(company.project) == ["refunded"]
    assert stream.retire(company.project) == []
    assert refunded(company), "its alerts stay"
