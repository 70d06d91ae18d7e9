"""Which DAGs a project has, without Airflow."""

from headrace.orchestrate.docs import job as page
from headrace.orchestrate.plan import every, header_place, plans


def test_every_source_and_job_has_its_dags(clinic):
    found = {p.dag_id: p for p in plans(clinic())}
    assert set(found) == {
        "source__ward",
        "source__ward__audit",
        "source__ward__compact",
        "source__lists",
        "source__lists__compact",
        "source__lists__pull",
        "views__audit",
        "batch__visits_per_bed",
        "batch__busiest_bed",
        "batch__tariffs_now",
        "stream__dear_visit",
        "stream__dear_visit__savepoint",
    }
    assert found["source__lists__pull"].schedule == "@daily"
    assert found["stream__dear_visit"].step.arguments == ("run", "dear_visit", "--ensure")
    assert found["stream__dear_visit__savepoint"].step.arguments == ("run", "dear_visit", "--savepoint")


def test_a_view_on_new_data_waits_for_its_own_event_and_shows_what_it_reads(clinic):
    found = {p.dag_id: p for p in plans(clinic())}
    assert found["batch__busiest_bed"].asset == "headrace://clinic/new-data/busiest_bed"
    assert found["batch__busiest_bed"].schedule == ""
    assert found["batch__busiest_bed"].step.reads == ("visits_per_bed", "beds")
    assert found["batch__busiest_bed"].step.makes == "busiest_bed"
    assert found["batch__tariffs_now"].schedule == "@hourly"
    assert found["batch__tariffs_now"].asset == ""


def test_only_what_can_be_run_again_becomes_a_dead_job(clinic):
    dead = {p.dag_id for p in plans(clinic()) if p.step.dead_job}
    assert dead == {"batch__visits_per_bed", "batch__busiest_bed", "batch__tariffs_now", "source__lists__pull"}


def test_a_source_whose_contracts_have_checks_gets_a_dag_that_runs_them(clinic):
    checked = """schema:
  - name: beds
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: amount, logicalType: integer}
"""
    found = {p.dag_id: p for p in plans(clinic(**{"schemas/beds.yaml": checked}))}
    assert found["source__ward__quality"].step.arguments == ("quality", "ward")
    assert found["source__ward__quality"].schedule.endswith("-59/60 * * * *")
    assert "source__lists__quality" not in found


def test_a_broken_file_takes_no_other_dag_with_it(clinic):
    project = clinic(**{"jobs/batch/wrong.sql": "-- Wrong.\nSELECT * FROM vizits\n"})
    assert "batch__wrong" not in {p.dag_id for p in plans(project)}
    assert len(plans(project)) == 12
    assert [str(p.place).endswith("wrong.sql:2") for p in project.problems] == [True]


def test_dags_of_one_interval_start_at_different_minutes():
    assert len({every(10, f"source__{name}") for name in ("orders", "payments", "events", "prices", "loyalty")}) > 2
    assert all(0 <= int(every(10, str(n)).split("-")[0]) < 10 for n in range(50))


def test_the_page_of_a_view_shows_its_text_and_inputs(clinic):
    project = clinic()
    text = page(project, project.job("busiest_bed"))
    assert "SELECT * FROM visits_per_bed JOIN beds USING (id)" in text
    assert "| reads | `visits_per_bed`, `beds` |" in text
    assert "headrace run busiest_bed" in text


def test_a_wrong_schedule_is_pointed_at(clinic):
    job = clinic().job("tariffs_now")
    assert header_place(job, "schedule").line == 2
    assert header_place(job, "schedule").column == 4
