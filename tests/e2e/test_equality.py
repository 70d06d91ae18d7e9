"""Every batch view, live or not, equals its SQL run by DuckDB over a copy of the sources; nothing lost or twice."""

from __future__ import annotations

import json

import pytest
from deltalake import DeltaTable

from headrace.lake import paths
from headrace.serve.database import connect
from tests.e2e import oracle, truth
from tests.e2e.company import Company

EVENTS = ("trips", "deliveries", "ratings", "courier_pings")


@pytest.fixture(scope="module", autouse=True)
def written(company: Company) -> dict:  # type: ignore[type-arg]
    """What a generator wrote, while everything ran, and another one with the same seed beside it; all of it arrived."""
    wrote, beside = company.start(300, 30, seed=11), company.start(100, 10, seed=11)
    assert company.finish(beside)["orders"] == 100
    found = company.finish(wrote)
    assert found["orders"] == 300
    company.wait()
    return found


def test_every_view_equals_the_same_sql_over_a_copy_of_the_sources(company: Company):
    assert oracle.differences(company.project) == {}


def test_one_view_joins_all_sources(company: Company):
    """And none of its columns is empty: each source has brought rows that are joined."""
    project = company.project
    job = project.job("restaurant_scorecard")
    assert {project.tables[i.table].source for i in job.inputs} == {source.name for source in project.sources}
    with connect(project) as connection:
        cursor = connection.execute("SELECT * FROM batch.restaurant_scorecard")
        rows, names = cursor.fetchall(), [column.name for column in cursor.description or ()]
    assert [name for name, values in zip(names, zip(*rows, strict=True), strict=True) if not any(values)] == []


def test_the_certificate_says_so_too_and_finds_a_served_row_that_is_taken_away(company: Company):
    view = "revenue_per_day_and_city"
    for source in company.project.sources:
        if source.mode == "cdc":
            rows = json.loads(company.headrace("audit", source.name, "--format", "json").stdout)
            assert {row["table"]: row["verdict"] for row in rows} == {t.name: "proven" for t in source.tables}
    company.headrace("audit", view)
    with connect(company.project) as connection:
        connection.execute(f"DELETE FROM batch.{view} WHERE ctid = (SELECT min(ctid) FROM batch.{view})")  # type: ignore[arg-type]
    said = company.headrace("audit", view, ok=False)
    assert said.returncode == 1
    assert f"{view}: 1 missing in the view" in said.stderr
    company.headrace("run", view, "--full")
    company.headrace("audit", view)


def test_status_says_caught_up_by_position(company: Company, until):  # type: ignore[no-untyped-def]
    said: dict = {}  # type: ignore[type-arg]

    def caught_up() -> bool:
        said.update(company.status())
        return said["caught_up"]

    until(caught_up, 90, "status says that everything is caught up")
    assert {row["name"] for row in said["flow"]} == {*company.project.tables, *(j.name for j in company.project.jobs)}
    assert {row["state"] for row in said["servers"]} == {"running"}, said["servers"]
    notes = [row["note"] for row in said["flow"] if row["stage"] == "live view"]
    assert notes and all("layers" in note and "different" not in note for note in notes), notes
    states = {row["job"]: row["state"] for row in said["jobs"]}
    assert states == {j.name: "RUNNING" for j in company.project.jobs if j.kind == "stream" or j.live}


@pytest.mark.parametrize("table", EVENTS)
def test_each_acknowledged_event_landed_once_or_is_in_quarantine_once(company: Company, table: str):
    project = company.project
    lines = truth.sent(project, project.table(table))
    rows = DeltaTable(paths.landing(project, table)).to_pyarrow_table(columns=["op", "partition", "offset"]).to_pylist()
    landed = sorted((row["partition"], row["offset"]) for row in rows if row["op"] == "c")
    ours = {(line["partition"], line["offset"]) for line in lines}
    rejected = [at for at in truth.quarantined(project, table) if at in ours]  # others may have sent bad rows as well
    malformed = [(line["partition"], line["offset"]) for line in lines if line["kind"] == "malformed"]
    assert rejected == malformed
    assert landed == [(line["partition"], line["offset"]) for line in lines if line["kind"] != "malformed"]


def test_what_the_generator_says_is_in_the_databases(company: Company, written: dict):  # type: ignore[type-arg]
    """The generator's own count of rows, so that the oracle compares what was meant to be compared."""
    copied = truth.copy(company.project)
    for table in ("orders", "order_items", "refunds", "restaurant_reviews", "delivers_to", "promotions"):
        counts = written["tables"].get(table, {})
        assert counts, f"the generator wrote nothing to {table}: choose more orders"
    assert written["tables"]["orders"]["deleted"], "no draft was discarded: deletes were not tried"
    assert written["tables"]["restaurant_reviews"]["deleted"], "no review was taken back: deletes were not tried"
    rolled_back = copied.execute("SELECT COUNT(*) FROM orders WHERE id < 0 OR total > 999999").fetchone()
    assert rolled_back == (0,)
    odd = """SELECT COUNT(*) FROM orders o JOIN (SELECT order_id, SUM(price * quantity) AS items FROM order_items
        GROUP BY order_id) i ON i.order_id = o.id WHERE i.items <> o.total"""
    assert copied.execute(odd).fetchone() == (0,), "an order's total is not the sum of its items"
