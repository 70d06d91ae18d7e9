"""Pulls from a REST service on loopback: it fails, it refuses, the pull is killed. Each row is on the bus once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.ingest import bus, topics
from headrace.project import Project
from headrace.pulls.pull import pull

TOKEN = "s3cret/+token"
MEALS = {"id": "integer!", "name": "string", "at": "timestamp"}
SOURCE = """\
kind: rest
connection: {{url: '{url}/{path}', headers: {{Authorization: 'Bearer ${{REST_TOKEN}}'}}}}
tables: {tables}
"""


@pytest.fixture(scope="module")
def shop(shared, make_project, make_contract, module_site) -> Project:
    base = shared("bus")

    def source(path: str, tables: str) -> str:
        return SOURCE.format(url=module_site.url, path=path, tables=tables)

    by_cursor = "{path: /meals, rows: meals, page: {by: cursor, parameter: after, from: next}}"
    since = "since: {parameter: since, column: at}"
    by_number = f"{{path: /all, page: {{by: number, size_parameter: n, size: 10000}}, {since}}}"
    names = ("rest_gone", "rest_meals", "rest_all", "rest_snapshot")
    project = make_project(
        {f"schemas/{name}.yaml": make_contract(name, MEALS, "id") for name in names}
        | {
            "lake/sources/rest_shop.yml": source("v1", f"{{rest_gone: /gone, rest_meals: {by_cursor}}}"),
            "lake/sources/rest_big.yml": source("v2", f"{{rest_all: {by_number}}}"),
            "lake/sources/rest_whole.yml": source("v3", "{rest_snapshot: /all}"),
        },
        on=base,
    )
    assert not project.problems
    topics.ensure(project)
    return project


@pytest.fixture
def token(monkeypatch) -> None:
    monkeypatch.setenv("REST_TOKEN", TOKEN)


def rows(records) -> list[dict[str, Any]]:
    return [json.loads(record.value())["after"] for record in records]


def test_a_page_that_fails_twice_is_landed_exactly(shop, module_site, token, on_bus, work, landed, until) -> None:
    asked: Counter[str] = Counter()

    def answer(request: Any) -> Any:
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, b'{"error": "unknown: %s"}' % request.headers["Authorization"].encode()
        if "gone" in request.path:
            return 404, b"no such thing"
        after = int(request.query.get("after", 0))
        asked[request.path] += 1
        if after == 3 and asked[request.path] < 3:  # first no answer at all, then a busy server
            return None if asked[request.path] == 1 else (503, b"busy", {"Retry-After": "1"})
        meals = [{"id": n, "name": "é", "at": "2026-01-01T00:00:00Z"} for n in range(after, after + 3)]
        return json.dumps({"meals": meals, "next": after + 3 if after < 6 else None}).encode()

    module_site.answer = answer
    # The other table of the source is pulled all the same.
    with pytest.raises(HeadraceError, match=r"'rest_gone': GET .*/v1/gone is answered with 404") as caught:
        pull(shop, shop.source("rest_shop"))
    assert [problem.place.line for problem in caught.value.problems if problem.place] == [3]
    assert list(asked.values()) == [1, 3, 1]
    assert sorted(row["id"] for row in rows(on_bus(shop, "rest_shop.rest_meals"))) == list(range(9))
    with pytest.raises(HeadraceError, match="rest_gone"):
        pull(shop, shop.source("rest_shop"))  # the same snapshot: nothing more
    work(shop)
    found = until(lambda: len(r := landed(shop, "rest_meals")) >= 9 and r, 40, "nine rows landed")
    assert [json.loads(row["after"])["id"] for row in found] == list(range(9))
    assert (found[0]["position"], found[8]["position"]) == (f"{1:012d}/{1:012d}", f"{1:012d}/{9:012d}")


def test_wrong_credentials_are_said_without_them(shop, module_site, monkeypatch, on_bus) -> None:
    monkeypatch.setenv("REST_TOKEN", "wr0ng/token")
    module_site.answer = lambda request: (401, b"unknown: " + request.headers["Authorization"].encode())
    command = [str(Path(sys.executable).with_name("headrace")), "-C", str(shop.root), "source"]
    for verb in (["pull", "rest_big"], ["check", "rest_big", "--format", "json"]):
        done = subprocess.run([*command, *verb], capture_output=True, text=True, check=False, env=dict(os.environ))
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 1
        assert "401 Unauthorized" in said and "rest_big.yml:3" in said
        assert "wr0ng" not in said
    assert "unknown: Bearer ${REST_TOKEN}" in said
    assert on_bus(shop, "rest_big.rest_all") == []


class Kills:
    """Pulls by the command line that are killed: at a request, or once so many records are written."""

    def __init__(self, project: Project, source: str, topic: str) -> None:
        self.project, self.topic = project, topic
        headrace = str(Path(sys.executable).with_name("headrace"))
        self.command = [headrace, "-C", str(project.root), "source", "pull", source]

    def written(self) -> int:  # counts uncommitted records too
        return sum(bus.ends(self.project, {self.topic: self.project.settings.partitions}).values())

    def when(self, reached: Event) -> None:
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert reached.wait(30)
        self.kill(process)

    def after(self, more: int) -> None:
        goal = self.written() + more
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # It runs for slices and stands still while we look: however quick the machine, it can't end between.
        while self.written() < goal and process.poll() is None:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.02)
            process.send_signal(signal.SIGSTOP)
        self.kill(process)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the pull ended before it could be killed"


@pytest.mark.parametrize(
    ("source", "table", "writes"),
    [("rest_big", "rest_all", (1, 2_000)), ("rest_whole", "rest_snapshot", (5_000,))],
    ids=["since", "snapshot"],
)
def test_a_pull_killed_at_any_moment_is_exact(shop, module_site, token, on_bus, source, table, writes) -> None:
    meals = [{"id": n, "name": f"meal {n}", "at": f"2026-01-01T00:{n // 800:02}:00Z"} for n in range(30_000)]
    reached, killed = Event(), Event()

    def answer(request: Any) -> Any:
        if not killed.is_set() and request.query.get("page", "2") == "2":
            reached.set()
            killed.wait(30)
            return None
        since, page = request.query.get("since", ""), int(request.query.get("page", 1))
        size = int(request.query.get("n", 30_000))
        found = [meal for meal in meals if str(meal["at"]) >= since]
        return json.dumps(found[(page - 1) * size : page * size]).encode()

    module_site.answer = answer
    topic = f"{source}.{table}"
    kills = Kills(shop, source, topic)
    kills.when(reached)  # in the midst of a walk
    killed.set()
    assert kills.written() == 0
    for more in writes:  # in the midst of a transaction; with `since` perhaps behind one that was committed
        kills.after(more)
    pull(shop, shop.source(source))
    sent = [row["id"] for row in rows(on_bus(shop, topic))]
    assert len(sent) == len(set(sent)) == 30_000
    assert sum(pull(shop, shop.source(source))["tables"].values()) == 0
