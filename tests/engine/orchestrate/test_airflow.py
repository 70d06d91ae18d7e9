"""A real Airflow over a small project. Its tasks call a stand-in for the command line, a script that writes down how it
was called and fails when told: the engines behind the command line have tests of their own, here it is about Airflow.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.local.airflow_tidy import clean
from headrace.local.install import environment
from headrace.local.servers.airflow import variables
from headrace.orchestrate.announce import Announcer
from headrace.orchestrate.client import Airflow
from headrace.orchestrate.due import Published
from headrace.orchestrate.pulse import touch_dags
from headrace.orchestrate.watch import Parts
from headrace.project import Project, load

CONTRACT = """kind: DataContract
apiVersion: v3.0.2
id: {table}
version: 1.0.0
schema:
  - name: {table}
    properties:
      - {{name: id, logicalType: integer, required: true, primaryKey: true}}
"""
FILES = {
    "lake/sources/ward.yml": "kind: events\ntables: {visits: {from: visits}, beds: {from: beds}}\n",
    "lake/sources/lists.yml": """kind: files
connection: {path: lists}
schedule: "@daily"
tables: {tariffs: "*.csv"}
""",
    "jobs/batch/visits_per_bed.sql": "-- Visits per bed.\n-- owner: ward\nSELECT id FROM visits\n",
    "jobs/batch/busiest_bed.sql": "-- The busiest bed.\nSELECT * FROM visits_per_bed JOIN beds USING (id)\n",
    "jobs/batch/fails.sql": "-- Fails always.\nSELECT id / 0 FROM visits\n",
    "jobs/batch/tariffs_now.sql": "-- Tariffs.\n-- schedule: @hourly\nSELECT * FROM tariffs\n",
    "jobs/stream/dear_visit.sql": "-- A dear visit.\n-- key: id\nSELECT id FROM visits_changes\n",
} | {f"schemas/{table}.yaml": CONTRACT.format(table=table) for table in ("visits", "beds", "tariffs")}

STAND_IN = """#!/bin/sh
cd "$2" && shift 2
echo "$*" >> calls.log
echo "stand-in for headrace $*"
if [ "$2" = fails ] && [ "$1" = run ]; then
    printf 'jobs/batch/fails.sql:2\\n    2 | SELECT id / 0 FROM visits\\n               ^\\n  division by zero\\n' >&2
    exit 1
fi
"""


class Clinic:
    """The project, its Airflow, and what the stand-in was called with."""

    def __init__(self, project: Project, until: Callable[..., Any]) -> None:
        self.project = project
        self.airflow = Airflow(project, timeout=60)
        self.until = until
        self.failing_run = ""

    def calls(self, start: str) -> int:
        log = self.project.root / "calls.log"
        return sum(line.startswith(start) for line in log.read_text().splitlines()) if log.exists() else 0

    def get(self, path: str) -> dict:
        return self.airflow.call("GET", path)

    def start(self, dag: str) -> str:
        return self.airflow.call("POST", f"dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"]

    def runs(self, dag: str) -> list[dict]:
        return self.get(f"dags/{dag}/dagRuns?order_by=run_after")["dag_runs"]

    def ends(self, dag: str, run: str, seconds: float = 120) -> str:
        """The state a run ends in."""
        state = lambda: self.get(f"dags/{dag}/dagRuns/{run}")["state"]  # noqa: E731
        self.until(lambda: state() in {"success", "failed"}, seconds, f"{dag} {run} ends")
        return state()


@pytest.fixture(scope="module")
def clinic(make_project, platform, until) -> Clinic:
    project = make_project(FILES)
    script = project.root / "headrace.sh"
    script.write_text(STAND_IN)
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_BIN", str(script))
        platform(project, only={"postgres", "airflow"})
    clinic = Clinic(project, until)
    until(lambda: clinic.get("dags?limit=1")["total_entries"], 60, "Airflow has read the project")
    clinic.failing_run = clinic.start("batch__fails")  # its tries take a while; the last test looks at them
    return clinic


def test_every_source_and_job_is_there_and_unpaused(clinic: Clinic):
    dags = {d["dag_id"]: d for d in clinic.get("dags?limit=100")["dags"]}
    assert set(dags) == {
        *("source__ward", "source__ward__compact"),
        *("source__lists", "source__lists__compact", "source__lists__pull"),
        *("batch__visits_per_bed", "batch__busiest_bed", "batch__fails", "batch__tariffs_now"),
        "views__audit",
        *("stream__dear_visit", "stream__dear_visit__savepoint"),
    }
    assert not any(d["is_paused"] for d in dags.values())
    assert dags["batch__visits_per_bed"]["owners"] == ["ward"]
    assert "SELECT id FROM visits" in clinic.get("dags/batch__visits_per_bed/details")["doc_md"]
    assert clinic.get("importErrors")["total_entries"] == 0
    task = clinic.get("dags/batch__visits_per_bed/tasks/run")
    assert task["retries"] == 4
    assert task["retry_exponential_backoff"]


def test_pulls_scheduled_views_and_stream_jobs_begin_at_once(clinic: Clinic):
    for call in ("source pull lists", "run tariffs_now", "run dear_visit --ensure"):
        clinic.until(lambda c=call: clinic.calls(c) == 1, 120, f"`headrace {call}` was called")


def test_a_dropped_file_appears_and_a_broken_one_is_pointed_at(clinic: Clinic):
    jobs = clinic.project.root / "jobs" / "batch"
    (jobs / "dropped.sql").write_text("-- Dropped in.\nSELECT id FROM beds\n")
    (jobs / "broken.sql").write_text("-- Broken.\nSELECT id FROM bedz\n")
    touch_dags(clinic.project)  # as the pulse does when it sees that a file has changed
    began = time.monotonic()

    def here() -> bool:
        try:
            return clinic.get("dags/batch__dropped")["is_paused"] is False
        except HeadraceError:
            return False

    clinic.until(here, 50, "the DAG of the dropped file")
    assert time.monotonic() - began < 50, "sooner than the interval of a minute at which Airflow reads by itself"
    clinic.until(lambda: clinic.get("importErrors")["total_entries"] == 1, 90, "the broken file as an import error")
    (error,) = clinic.get("importErrors")["import_errors"]
    assert Path(error["filename"]).name == "mistakes.py"
    assert "jobs/batch/broken.sql:2\n    2 | SELECT id FROM bedz\n                       ^" in error["stack_trace"]
    assert "did you mean 'beds'?" in error["stack_trace"]
    assert "Traceback" not in error["stack_trace"]
    # The others go on.
    assert clinic.ends("batch__dropped", clinic.start("batch__dropped")) == "success"
    (jobs / "broken.sql").unlink()
    touch_dags(clinic.project)
    clinic.until(lambda: clinic.get("importErrors")["total_entries"] == 0, 90, "no import error once it is mended")


class Lake:
    """A lake in which visits keep landing: the engines that would say so are not what is tested."""

    def __init__(self, versions: dict[str, str]) -> None:
        self.versions = versions
        self.visits = 1

    def grown(self, tables: set[str]) -> bool:
        return True

    def landed(self, table: str) -> dict[int, int]:
        return {0: self.visits} if table == "visits" else {}

    def covered(self, names: set[str]) -> dict[str, Published | None]:
        positions = {"visits": {0: 1}}
        return {
            n: Published(positions if n == "visits_per_bed" else {"visits": {0: 10**6}}, self.versions[n])
            for n in names
        }


def test_new_data_starts_exactly_one_run_however_often_it_lands(clinic: Clinic):
    announcer = Announcer(load(clinic.project.root), Parts(lambda text: None))
    lake = announcer.lake = Lake({n: v.version for n, v in announcer.views.items()})  # type: ignore[assignment]
    before = clinic.calls("run visits_per_bed")
    announcer.beat()
    assert not clinic.runs("batch__visits_per_bed"), "nothing is due yet"
    for _ in range(15):
        lake.visits += 10
        announcer.beat()
        time.sleep(0.3)
    clinic.until(lambda: clinic.calls("run visits_per_bed") == before + 1, 90, "one run")
    (run,) = clinic.runs("batch__visits_per_bed")
    assert run["run_type"] == "asset_triggered"
    assert clinic.ends("batch__visits_per_bed", run["dag_run_id"]) == "success"
    asset = clinic.airflow.views(["visits_per_bed"], datetime.now(UTC))["visits_per_bed"].asset_id
    (event,) = clinic.get(f"assets/events?asset_id={asset}")["asset_events"]
    assert event["extra"]["new positions"] == {"visits": 10}
    announcer.beat()
    assert len(clinic.runs("batch__visits_per_bed")) == 1, "at most once a minute"


def test_a_busy_or_paused_view_is_not_announced(clinic: Clinic):
    since = datetime.now(UTC) - timedelta(minutes=5)
    assert clinic.airflow.views(["fails"], since)["fails"].busy, "between its tries it still counts as running"
    clinic.airflow.call("PATCH", "dags/batch__busiest_bed", {"is_paused": True})
    assert clinic.airflow.views(["busiest_bed"], since)["busiest_bed"].paused
    clinic.airflow.call("PATCH", "dags/batch__busiest_bed", {"is_paused": False})
    assert not clinic.airflow.views(["busiest_bed"], since)["busiest_bed"].paused
    assert clinic.airflow.views(["no_such_view"], since) == {}


def test_a_run_can_be_cleared_and_runs_again(clinic: Clinic):
    dag = "batch__busiest_bed"
    run = clinic.start(dag)
    assert clinic.ends(dag, run) == "success"
    before = clinic.calls("run busiest_bed")
    body = {"dry_run": False, "dag_run_id": run, "only_failed": False, "reset_dag_runs": True}
    clinic.airflow.call("POST", f"dags/{dag}/clearTaskInstances", body)
    clinic.until(lambda: clinic.calls("run busiest_bed") == before + 1, 60, "it ran again")
    assert clinic.ends(dag, run) == "success"


def test_a_failing_task_is_tried_again_later_and_later_then_fails_once(clinic: Clinic):
    dag, run = "batch__fails", clinic.failing_run
    assert clinic.ends(dag, run, seconds=300) == "failed"
    assert clinic.calls("run fails") == 5
    tries = clinic.get(f"dags/{dag}/dagRuns/{run}/taskInstances/run/tries")["task_instances"]
    starts = sorted(datetime.fromisoformat(t["start_date"]) for t in tries)
    gaps = [(b - a).total_seconds() for a, b in pairwise(starts)]
    least = [5, 10, 20, 40]  # orchestrate/dags.py: five seconds, then twice as long each; a busy scheduler adds to it
    assert all(gap >= wanted for gap, wanted in zip(gaps, least, strict=True)), gaps
    assert max(gaps) < 120, "a minute is the ceiling"
    # The record of the dead job is made once, after the last try, with the error.
    clinic.until(lambda: clinic.calls("work dead-job fails --kind batch --error"), 60, "the dead job")
    assert clinic.calls("work dead-job") == 1
    log = str(clinic.get(f"dags/{dag}/dagRuns/{run}/taskInstances/run/logs/1"))
    for line in ("jobs/batch/fails.sql:2", "2 | SELECT id / 0 FROM visits", "division by zero"):
        assert line in log


def test_what_was_noted_of_old_runs_goes_and_the_newest_that_data_started_stays(clinic: Clinic):
    by_hand, by_data = "batch__busiest_bed", "batch__visits_per_bed"
    there = [run["dag_run_id"] for run in clinic.runs(by_data)]
    assert clinic.runs(by_hand)
    assert there
    python = str(environment("airflow") / "bin" / "python")
    command = [python, *clean(datetime.now(UTC))[1:]]
    done = subprocess.run(
        command, env=os.environ | variables(clinic.project), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert clinic.runs(by_hand) == []
    assert [run["dag_run_id"] for run in clinic.runs(by_data)] == there[-1:]
    assert clinic.ends(by_hand, clinic.start(by_hand)) == "success"
