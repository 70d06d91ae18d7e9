"""A clinic's project outside the repository, every part of it at an address of its own, through every verb."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from headrace.ingest import database
from headrace.lake import landing
from headrace.project import Project
from headrace.stream.flink_rest import Flink

CONTRACT = """kind: DataContract
apiVersion: v3.0.2
id: clinic_visits
version: 1.0.0
schema:
  - name: clinic_visits
    properties:
      - {name: id, logicalType: integer, required: true, primaryKey: true}
      - {name: ward, logicalType: string, required: true}
      - {name: cost, logicalType: number, physicalType: "DECIMAL(12,2)"}
"""
FILES = {
    "schemas/clinic_visits.yaml": CONTRACT,
    "jobs/batch/visits_per_ward.sql": """-- Visits of each ward, and what they cost.
SELECT ward, COUNT(*) AS visits, SUM(cost) AS cost FROM clinic_visits GROUP BY ward
""",
    "jobs/stream/costly_visit.sql": """-- A visit that costs more than 1000.
-- key: visit_id
SELECT id AS visit_id, ward, cost FROM clinic_visits_changes WHERE op <> 'd' AND cost > 1000
""",
}


class Clinic:
    """The project and its command line."""

    def __init__(self, project: Project, shared: Project) -> None:
        self.project, self.shared = project, shared

    def run(self, *words: str) -> str:
        command = [str(Path(sys.executable).with_name("headrace")), *words, "-C", str(self.project.root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, f"headrace {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, object]]:
        return json.loads(self.run(*words, "--format", "json"))

    def sql(self, *statements: str) -> None:
        with database.connect(self.shared, self.shared.source("shop")) as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture(scope="module")
def clinic(shared, make_project, shared_url, work_folder) -> Iterator[Clinic]:
    """Runs, with three visits; only landing and pulse are processes of its own."""
    on = shared("bus", "connect", "postgres", "flink", "spark", "source:shop")
    source = f"kind: postgresql\nconnection: {{url: {shared_url(on, 'shop')!r}}}\n"
    source += "tables: {clinic_visits: public.clinic_visits}\n"
    lake = str(work_folder / "the lake is elsewhere")
    project = make_project({**FILES, "lake/sources/clinic.yml": source}, on=on, lake=lake)
    clinic = Clinic(project, on)
    clinic.sql(
        "CREATE TABLE clinic_visits (id BIGINT PRIMARY KEY, ward TEXT NOT NULL, cost NUMERIC(12,2))",
        "INSERT INTO clinic_visits VALUES (1, 'east', 20.50), (2, 'east', 4000), (3, 'west', NULL)",
    )
    clinic.run("check")
    clinic.run("up", "--only", "landing,pulse")
    clinic.run("wait", "--timeout", "180")
    yield clinic
    clinic.run("down")


@pytest.mark.parametrize("part", ["bus", "connect", "spark", "flink", "serving"])
def test_a_part_with_an_address_is_used_and_not_started(clinic, part) -> None:
    servers = {r["server"]: r["state"] for r in clinic.rows("status")["servers"]}  # type: ignore[call-overload]
    assert servers[part] == "external"
    own = {name for name, state in servers.items() if state != "external" and not name.startswith("airflow")}
    assert own == {"landing", "pulse"}


def test_the_bus_at_its_address_has_the_topics(clinic) -> None:
    topics = AdminClient({"bootstrap.servers": clinic.shared.addresses.bus}).list_topics(timeout=10).topics
    assert {"clinic.public.clinic_visits", "alerts.costly_visit"} <= set(topics)


def test_spark_at_its_address_computed_the_view_and_serving_at_its_has_it(clinic) -> None:
    assert clinic.project.addresses.spark == clinic.shared.addresses.spark
    with psycopg.connect(clinic.project.addresses.serving("reader")) as connection:
        rows = connection.execute("SELECT ward, visits, cost FROM batch.visits_per_ward ORDER BY ward").fetchall()
    assert rows == [("east", 2, Decimal("4020.50")), ("west", 1, None)]


def test_flink_at_its_address_runs_the_job(clinic) -> None:
    jobs = {job["name"] for job in Flink(clinic.shared.addresses.flink_rest).jobs()}
    assert any(name.endswith("costly_visit") and clinic.project.settings.name in name for name in jobs)
    assert [r["visit_id"] for r in clinic.rows("query", "SELECT visit_id FROM alerts.costly_visit")] == [2]


def test_the_lake_at_its_address_has_the_rows(clinic, work_folder) -> None:
    assert sum(landing.positions(clinic.project, "clinic_visits").values()) >= 3
    assert list((work_folder / "the lake is elsewhere").rglob("*.parquet"))
    assert not (clinic.project.root / "lake" / "data").exists()
    (found,) = clinic.rows("query", "--lake", "SELECT COUNT(*) AS n FROM landing.clinic_visits WHERE op <> 'm'")
    assert found["n"] == 3


def test_every_other_verb(clinic) -> None:
    clinic.sql("UPDATE clinic_visits SET cost = 1500 WHERE id = 3", "DELETE FROM clinic_visits WHERE id = 1")
    clinic.run("wait", "--timeout", "120")
    rows = clinic.rows("query", "SELECT ward, visits, cost FROM batch.visits_per_ward ORDER BY ward")
    assert [(r["ward"], r["visits"], float(r["cost"])) for r in rows] == [("east", 1, 4000.0), ("west", 1, 1500.0)]
    clinic.run("run", "visits_per_ward", "--full")
    clinic.run("run", "costly_visit")
    clinic.run("run", "costly_visit", "--savepoint")
    assert "clinic" in clinic.run("source", "check")
    clinic.run("source", "compact", "clinic")
    assert "clinic_visits" in clinic.run("logs", "landing")
    for address in (clinic.run("dsn").strip(), clinic.run("dsn", "clinic").strip()):
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert clinic.rows("status")["caught_up"] is True  # type: ignore[call-overload]
