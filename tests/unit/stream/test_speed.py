"""What a speed job is run with. Engines run it in tests/engine/stream/test_speed.py."""

from __future__ import annotations

import pytest

from headrace.project import Project
from headrace.project.live import live_tables
from headrace.sql.live import tables
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import View
from headrace.stream import speed, speed_plan
from headrace.stream.plan import flink_name
from headrace.stream.speed import Begin

JOINED = (
    "SELECT v.day, n.note, SUM(v.fee) AS fees, COUNT(*) AS n FROM visits v LEFT JOIN notes n ON n.id = v.id "
    "GROUP BY v.day, n.note"
)
NOTES = "\n".join(
    [
        "kind: DataContract",
        "apiVersion: v3.0.2",
        "id: notes",
        "version: 1.0.0",
        "schema:",
        "  - name: notes",
        "    properties:",
        "      - {name: id, logicalType: integer, required: true, primaryKey: true}",
        "      - {name: note, logicalType: string}",
        "",
    ]
)


@pytest.fixture
def desk(clinic: Project, monkeypatch) -> Project:
    from headrace.project import load

    monkeypatch.setenv("HEADRACE_WRITER_PASSWORD", "secret")
    (clinic.root / "schemas" / "notes.yaml").write_text(NOTES)
    source = clinic.root / "lake" / "sources" / "desk.yml"
    source.write_text(source.read_text().replace("visits: public.visits", "visits: public.visits, notes: public.notes"))
    return load(clinic.root)


def view(project: Project, query: str, name: str = "fees") -> View:
    found = compile_live(name, query, live_tables(project))
    assert found.view is not None, found.mistakes
    return found.view


def made(project: Project, query: str, begin: Begin, **partitions: int) -> list[str]:
    there = {project.table(name).topic: number for name, number in partitions.items()}
    return speed_plan.statements(project, view(project, query), begin, there)


def test_every_partition_begins_where_it_is_said_and_others_at_their_beginning(desk):
    found = made(desk, JOINED, Begin(7, {"visits": {0: 40}, "notes": {1: 3}}), visits=3, notes=2)
    visits, notes = (
        next(s for s in found if s.startswith(f"CREATE TEMPORARY TABLE `{t}_bus`")) for t in ("visits", "notes")
    )
    assert "'partition:0,offset:40;partition:1,offset:0;partition:2,offset:0'" in visits
    assert "'partition:0,offset:0;partition:1,offset:3'" in notes
    assert all("'properties.isolation.level' = 'read_committed'" in s for s in (visits, notes))
    assert all("'scan.topic-partition-discovery.interval' = '10 s'" in s for s in (visits, notes))
    assert any(s.endswith("WHERE chunk >= 7") for s in found)


def test_one_job_fills_the_speed_table_and_those_of_joined_tables(desk):
    last = made(desk, JOINED, Begin(0, {}), visits=1, notes=1)[-1]
    assert last.startswith("EXECUTE STATEMENT SET BEGIN\n") and last.endswith(";\nEND")
    assert [part.split()[0] for part in last.split("INSERT INTO ")[1:]] == ["headrace_speed", "headrace_joined_1"]


def test_events_are_known_longer_than_their_horizon_by_as_much_as_they_may_be_late(clinic, monkeypatch):
    monkeypatch.setenv("HEADRACE_WRITER_PASSWORD", "secret")
    found = made(clinic, "SELECT urgent, COUNT(*) AS n FROM calls GROUP BY urgent", Begin(0, {}), calls=1)
    assert any("RANGE BETWEEN INTERVAL '0 03:00:00.000'" in s and "+ INTERVAL '0 02:00:00.000'" in s for s in found)


def test_a_chunks_state_goes_and_checkpoints_go_with_the_job(desk):
    one = view(desk, JOINED)
    options = speed_plan.options(desk, one, Begin(7, {}))
    assert options["table.exec.state.ttl"] == "3600 s"
    assert options["execution.checkpointing.externalized-checkpoint-retention"] == "NO_EXTERNALIZED_CHECKPOINTS"
    assert options["execution.checkpointing.dir"].endswith(f".headrace/flink/live/fees.{tables.version(one)}")
    assert options["pipeline.global-job-parameters"] == "headrace.since:7"


def test_a_speed_job_is_no_stream_job_by_its_name(desk):
    at_flink = speed_plan.flink_name(desk, "fees", "0a")
    assert not at_flink.startswith(flink_name(desk, ""))
    jobs = [
        {"name": at_flink, "jid": "newer"},
        {"name": at_flink, "jid": "older"},
        {"name": "headrace-live.other.fees.0a", "jid": "x"},
        {"name": "headrace.clinic.fees", "jid": "y"},
    ]
    assert speed.named(desk, jobs) == {("fees", "0a"): "older"}
