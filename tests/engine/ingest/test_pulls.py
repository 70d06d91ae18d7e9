"""Pulls from real databases and folders: repeated, killed, at once. Each row is on the bus once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

from headrace.audit import flow
from headrace.errors import HeadraceError
from headrace.ingest import bus, connectors, topics
from headrace.project import Project
from headrace.pulls import pull as pulls
from headrace.pulls.pull import Overtaken, pull

COLUMNS = {"id": "integer!", "tier": "string", "points": "integer", "seen_at": "timestamp!"}
PRICES = {"dish": "string!", "price": "decimal(6,2)!", "valid_from": "date!"}


@pytest.fixture(scope="module")
def pulled(shared, make_project, make_contract, shared_url) -> Project:
    base = shared("bus", "source:till")
    files = {
        "schemas/pull_members.yaml": make_contract("pull_members", COLUMNS, "id", "seen_at"),
        "schemas/pull_prices.yaml": make_contract("pull_prices", PRICES, "dish"),
        "lake/sources/pull_club.yml": f"kind: jdbc\nconnection: {{url: '{shared_url(base, 'till')}'}}\n"
        "tables: {pull_members: {from: pull_members, watermark: seen_at}}\n",
        "lake/sources/pull_lists.yml": "kind: files\nconnection: {path: lists}\n"
        "tables: {pull_prices: {from: '*.csv', format: csv}}\n",
    }
    project = make_project(files, on=base)
    assert not project.problems
    (project.root / "lists").mkdir()
    topics.ensure(project)
    return project


@pytest.fixture
def members(pulled):
    """A cursor on an empty table; the pull's state is that of the tests before."""
    parts = urlsplit(pulled.addresses.source(pulled.source("pull_club")))
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        database="till",
        autocommit=True,
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pull_members")
        cursor.execute(
            "CREATE TABLE pull_members (id bigint PRIMARY KEY, tier varchar(9), points bigint, seen_at datetime(6))"
        )
        yield cursor
    connection.close()


def rows(records) -> list[dict]:
    return [json.loads(record.value())["after"] for record in records]


def count(project: Project, source: str) -> int:
    return sum(pull(project, project.source(source))["tables"].values())


def test_rows_that_share_the_last_watermark_are_neither_lost_nor_doubled(pulled, members, on_bus) -> None:
    insert = "INSERT INTO pull_members VALUES (%s, 'gold', 1, %s)"
    members.executemany(insert, [(i, "2026-01-01 10:00:00.5") for i in range(40)])
    assert count(pulled, "pull_club") == 40
    assert count(pulled, "pull_club") == 0
    # Committed later with the same value: new, changed, and unchanged rows.
    members.execute(insert, (40, "2026-01-01 10:00:00.5"))
    members.execute("UPDATE pull_members SET points = 2 WHERE id = 7")
    assert count(pulled, "pull_club") == 2
    assert count(pulled, "pull_club") == 0
    members.execute("UPDATE pull_members SET points = 3, seen_at = '2026-01-01 11:00' WHERE id < 3")
    assert count(pulled, "pull_club") == 3
    sent = rows(on_bus(pulled, "pull_club.pull_members"))
    assert len(sent) == 45
    latest = {row["id"]: row for row in sent}
    assert latest[7] == {"id": 7, "tier": "gold", "points": 2, "seen_at": "2026-01-01T10:00:00.500000Z"}
    assert latest[2]["points"] == 3


def test_a_pull_killed_at_any_moment_is_exact(pulled, members, on_bus) -> None:
    members.execute(
        "INSERT INTO pull_members"
        " SELECT seq, 'new', 1, '2027-01-01' + INTERVAL seq DIV 1000 SECOND FROM seq_100000_to_299999"
    )
    headrace = str(Path(sys.executable).with_name("headrace"))
    command = [headrace, "-C", str(pulled.root), "source", "pull", "pull_club", "--format", "json"]
    topic = "pull_club.pull_members"

    def written() -> int:  # counts uncommitted records too
        return sum(bus.ends(pulled, {topic: pulled.settings.partitions}).values())

    for more in (1, 9_000, 20_001):
        goal = written() + more
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # It runs for slices of 50 ms and stands still while we look: however quick the machine, it can't end between.
        while written() < goal and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the pull ended before it could be killed"
    count(pulled, "pull_club")
    sent = [row["id"] for row in rows(on_bus(pulled, "pull_club.pull_members")) if row["tier"] == "new"]
    assert len(sent) == len(set(sent)) == 200_000


def test_files_are_pulled_once_and_bad_lines_reach_quarantine(pulled, work, landed, quarantined, until, on_bus) -> None:
    lists = pulled.root / "lists"
    (lists / "2026-01-02.csv").write_text("dish,price,valid_from\nsoup,4.50,2026-01-02\ncake,dear,2026-01-02\n")
    (lists / "2026-01-01.csv").write_text("dish,price,valid_from\nsoup,4.00,2026-01-01\nhalf a line\n")
    (lists / "2026-01-03.csv").write_text("dish,price,valid_from\ncake,3.10")
    result = pull(pulled, pulled.source("pull_lists"))
    assert result["tables"] == {"pull_prices": 4}
    assert "2026-01-03.csv" in result["skipped"][0]
    assert count(pulled, "pull_lists") == 0
    (lists / "2026-01-03.csv").write_text("dish,price,valid_from\ncake,3.10,2026-01-03\n")
    assert count(pulled, "pull_lists") == 1
    work(pulled)
    until(lambda: len(quarantined(pulled, "pull_prices")) == 2, 40, "two bad lines in quarantine")
    bad = {row["reason"]: row["raw"] for row in quarantined(pulled, "pull_prices")}
    assert bad["line 3 of 2026-01-01.csv has 1 fields, not 3"] == b"half a line"
    assert any("decimal(6,2)" in reason for reason in bad)
    good = until(lambda: len(r := landed(pulled, "pull_prices")) == 4 and r, 40, "four rows landed")
    assert [(r["key"], r["after"] and json.loads(r["after"])["price"]) for r in good] == [
        ('{"dish":"soup"}', "4.00"),
        ('{"dish":"soup"}', "4.50"),
        ('{"dish":"cake"}', None),  # its newest row broke the contract: the key has no valid row
        ('{"dish":"cake"}', "3.10"),
    ]


def test_a_source_that_is_not_pulled_or_not_there_is_an_error(pulled, members) -> None:
    members.execute("DROP TABLE pull_members")
    with pytest.raises(HeadraceError, match="pull_members"):
        pull(pulled, pulled.source("pull_club"))
    members.execute("CREATE TABLE pull_members (id bigint, seen_at datetime)")
    assert connectors.ensure(pulled) == []  # nothing here is captured


def test_wait_pulls_again_what_another_pull_overtook(pulled, on_bus, monkeypatch) -> None:
    source, real, said = pulled.source("pull_lists"), pulls._deliver, []

    def write(dish: str) -> None:
        (pulled.root / "lists" / f"{dish}.csv").write_text(f"dish,price,valid_from\n{dish},7.50,2026-01-01\n")

    def overtaken(*arguments):  # Airflow's pull begins while this one is at its first row
        monkeypatch.setattr(pulls, "_deliver", real)
        pull(pulled, source)
        write("manti")
        return real(*arguments)

    write("plov")
    monkeypatch.setattr(pulls, "_deliver", overtaken)
    with pytest.raises(Overtaken, match="gave way"):
        pull(pulled, source)
    monkeypatch.setattr(pulls, "_deliver", overtaken)
    write("lagman")
    flow._pull(pulled, source, time.monotonic() + 60, said.append)
    assert said == ["another pull of pull_lists has begun: once more"]
    values = [record.value() for record in on_bus(pulled, "pull_lists.pull_prices")]
    assert [sum(dish in value for value in values) for dish in (b"plov", b"lagman")] == [1, 1]
    assert any(b"manti" in value for value in values)
