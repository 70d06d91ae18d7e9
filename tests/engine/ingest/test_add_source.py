"""`headrace add source` on real databases, a folder and a service: what it writes passes `check`, and rows land so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from headrace.errors import HeadraceError
from headrace.ingest import connectors, topics
from headrace.project import Contract, Project, inspect
from headrace.pulls.pull import pull
from headrace.sources.ask import ask

POSTGRESQL = """
CREATE SCHEMA added;
CREATE TYPE added.mood AS ENUM ('calm', 'loud');
CREATE TABLE added.patients (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email varchar(80) UNIQUE,
  mood added.mood NOT NULL, weight numeric(5,1) CHECK (weight >= 0 AND weight <= 500), dose numeric, wait interval,
  ward varchar(9) CHECK (ward IN ('north', 'south')), born date, updated_at timestamptz(6) NOT NULL, tags text[],
  extra jsonb, doc bytea, home point, kin oid, doubled bigint GENERATED ALWAYS AS (2) STORED, shape box,
  UNIQUE (name, mood));
COMMENT ON COLUMN added.patients.mood IS 'How it went: "well" or not.';
CREATE TABLE added.log (line text);
CREATE UNLOGGED TABLE added.cold (id int PRIMARY KEY);
CREATE VIEW added.calm AS SELECT id FROM added.patients;
CREATE TABLE added.parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE added.part_1 PARTITION OF added.parts FOR VALUES FROM (1) TO (9);
CREATE TABLE added.shapes (shape bit(3) PRIMARY KEY);
CREATE TABLE added."Odd Name" (id int PRIMARY KEY);
INSERT INTO added.patients (name, mood, weight, dose, wait, ward, updated_at, tags, extra, doc, home, kin, shape)
VALUES ('Ann', 'calm', 61.5, 0.125, '1 hour', 'north', now(), '{a,b}', '{"a": 1}', 'x', '(1,2)', 7, '((0,0),(1,1))')"""
MARIADB = """
CREATE TABLE added_visits (
  id int AUTO_INCREMENT PRIMARY KEY, guest_email varchar(60) NOT NULL, kind enum('walk','call') NOT NULL,
  paid decimal(8,2) NOT NULL CHECK (paid >= 0), regular tinyint(1), open bit(1), bits bit(3), note longtext, year year,
  spent time, seen datetime(6), updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (updated_at));
CREATE TABLE added_bills (
  id int PRIMARY KEY, visit int, FOREIGN KEY (visit) REFERENCES added_visits (id) ON DELETE CASCADE);
CREATE TABLE added_places (id int PRIMARY KEY, place inet6);
CREATE TABLE added_notes (line text);
CREATE VIEW added_view AS SELECT id FROM added_visits;
INSERT INTO added_visits (guest_email, kind, paid, regular, open, bits, note, year, spent, seen)
  VALUES ('a@b', 'walk', 1.50, 1, b'1', b'101', 'é', 2026, '10:00:00', '2026-01-01 10:00:00.5')"""
MEALS = [{"id": n, "price": 2.5, "name": "soup", "changed_at": "2026-01-01T10:00:00+01:00"} for n in (1, 2)]


def add(project: Project, *arguments: str) -> str:
    """What the command line says when it adds a source; it must not fail."""
    headrace = str(Path(sys.executable).with_name("headrace"))
    command = [headrace, "-C", str(project.root), "add", "source", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def shown(contract: Contract) -> dict[str, str]:
    """Type of each column, with * where it is of the key, ! where it must be there and ? where it is masked."""
    return {
        c.name: (f"decimal({c.precision},{c.scale})" if c.is_decimal else c.logical)
        + ("*" if c.key else "!" if c.required else "")
        + ("?" if c.personal else "")
        for c in contract.columns
    }


@pytest.fixture(scope="module")
def urls(shared, shared_url) -> dict[str, str]:
    """The addresses of two databases with tables of every sort in them."""
    base = shared("bus", "connect", "source:shop", "source:till")
    with psycopg.connect(base.addresses.source(base.source("shop")), autocommit=True) as connection:
        for statement in POSTGRESQL.split(";\n"):
            connection.execute(statement)  # type: ignore[arg-type]
    parts = urlsplit(base.addresses.source(base.source("till")))
    known: dict[str, Any] = {"host": parts.hostname, "port": parts.port, "user": parts.username, "database": "till"}
    with pymysql.connect(**known, password=parts.password or "", autocommit=True) as connection:
        for statement in MARIADB.split(";\n"):
            connection.cursor().execute(statement)
    return {name: shared_url(base, name) for name in ("shop", "till")}


@pytest.fixture(scope="module")
def project(shared, urls, make_project) -> Project:
    return make_project({}, on=shared())


def test_a_postgresql_database_is_written_down(shared, project, urls) -> None:
    said = add(project, "add_pg", urls["shop"], "--table", "added.*")
    for line in (
        "added.log: it has no primary key",
        "added.calm: it is a view",
        "added.cold: it is unlogged",
        "added.parts: it is partitioned",
        "added.shapes: its key can't be carried: shape (values of type bit are not carried)",
        "added.Odd Name: its name can't be a topic's",
        "patients: column doubled is not in the contract: it is generated",
        "patients: column shape is not in the contract: values of type box are not carried",
    ):
        assert line in said
    read, problems = inspect(project.root)
    assert problems == ()
    contract = read.contracts["patients"]
    assert shown(contract) == {
        "id": "integer*", "name": "string!?", "email": "string?", "mood": "string!", "weight": "decimal(5,1)",
        "dose": "string", "wait": "integer", "ward": "string", "born": "date?", "updated_at": "timestamp!",
        "tags": "array", "extra": "object", "doc": "string", "home": "object", "kin": "integer",
    }  # fmt: skip
    assert contract.event_time == "updated_at"
    assert {(c.kind, c.columns, c.values, c.low, c.high) for c in contract.checks if c.kind != "nullValues"} == {
        ("duplicateValues", ("id",), (), None, None),
        ("duplicateValues", ("email",), (), None, None),
        ("duplicateValues", ("name", "mood"), (), None, None),
        ("invalidValues", ("mood",), ("calm", "loud"), None, None),
        ("invalidValues", ("ward",), ("north", "south"), None, None),
        ("invalidValues", ("weight",), (), 0, 500),
    }
    assert ask(shared(), "shop", "postgresql", tables=("added.patients",)).connection == {"local": True}
    assert shown(read.contracts["part_1"]) == {"id": "integer*"}  # a partition: only --table takes it
    alone = {t.origin: t.skip for t in ask(project, "more", urls["shop"]).tables}
    assert alone["added.part_1"] == "it is a partition: take it with --table"


def test_a_mariadb_database_is_written_down(project, urls) -> None:
    said = add(project, "add_maria", urls["till"], "--table", "added_*")
    for line in (
        "till.added_places: the log's reader does not know the type of its column place",
        "till.added_notes: it has no primary key",
        "till.added_view: it is a view",
        "added_bills: foreign-key cascades change it",
    ):
        assert line in said
    read, problems = inspect(project.root)
    assert problems == ()
    contract = read.contracts["added_visits"]
    assert shown(contract) == {
        "id": "integer*", "guest_email": "string!?", "kind": "string!", "paid": "decimal(8,2)!", "regular": "integer",
        "open": "boolean", "bits": "string", "note": "string", "year": "integer", "spent": "string",
        "seen": "timestamp", "updated_at": "timestamp!",
    }  # fmt: skip
    assert {(c.columns, c.values, c.low) for c in contract.checks if c.kind == "invalidValues"} == {
        (("kind",), ("walk", "call"), None),
        (("paid",), (), 0),
    }


def test_pulled_tables_a_folder_and_a_service_are_written_down(project, urls, module_site) -> None:
    said = add(project, "add_pull", urls["till"], "--pull", "--table", "added_visits")
    # The name is taken by the captured source.
    assert "schemas/add_pull_added_visits.yaml" in said
    assert "pulled by updated_at (by its name every change sets it, indexed, never null)" in said
    said = add(project, "add_pulled_pg", urls["shop"], "--pull", "--table", "added.patients")
    assert "updated_at has no index: each pull reads the whole table" in said
    (project.root / "drop").mkdir()
    (project.root / "drop/a.csv").write_text("code,price,day\na,1.5,2026-01-01\nb,2,2026-01-01\n")
    add(project, "add_lists", str(project.root / "drop"))
    module_site.answer = lambda request: json.dumps({"items": MEALS, "next": None}).encode()
    add(project, "add_meals", f"{module_site.url}/v1/meals")
    read, problems = inspect(project.root)
    assert problems == ()
    assert read.table("add_pull_added_visits").watermark == "updated_at"
    assert (read.table("meals").origin, read.source("add_meals").url) == ("/meals", f"{module_site.url}/v1")


def test_rows_land_by_what_was_written(project, work, landed, quarantined, until) -> None:
    read, _ = inspect(project.root)
    topics.ensure(read)
    until(lambda: connectors.ensure(read), 60, "Connect answers")
    work(read)
    for name in ("add_pull", "add_pulled_pg", "add_lists", "add_meals"):
        pull(read, read.source(name))
    one, two = "patients added_visits add_pulled_pg_patients add_pull_added_visits".split(), ["add_lists", "meals"]
    wanted = dict.fromkeys(one, 1) | dict.fromkeys(two, 2)

    def counts() -> dict[str, int]:
        return {name: len(landed(read, name)) for name in wanted}

    def bad() -> list[str]:
        return [row["reason"] for name in wanted for row in quarantined(read, name)]

    until(lambda: counts() == wanted or bad(), 60, f"rows landed: {wanted}")
    assert bad() == []
    patient = json.loads(landed(read, "patients")[0]["after"])
    assert (patient["wait"], patient["weight"], patient["tags"]) == (3_600_000_000, "61.5", ["a", "b"])
    visit = json.loads(landed(read, "added_visits")[0]["after"])
    assert (visit["open"], visit["paid"], visit["kind"]) == (True, "1.50", "walk")


def test_who_refuses_us_is_named_without_the_password(project, urls, monkeypatch) -> None:
    monkeypatch.setenv("WRONG_PASSWORD", "not-it")
    for name in ("shop", "till"):
        wrong = urls[name].replace(f"{name.upper()}_PASSWORD", "WRONG_PASSWORD")
        with pytest.raises(HeadraceError, match="the database refuses us") as error:
            ask(project, "other", wrong)
        assert "not-it" not in str(error.value)
        with pytest.raises(HeadraceError, match=r"no table matches nowhere\.\*"):
            ask(project, "other", urls[name], tables=("nowhere.*",))
    with pytest.raises(HeadraceError, match="nothere"):
        ask(project, "other", f"{urls['shop'].rpartition('/')[0]}/nothere")
