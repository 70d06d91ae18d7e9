"""Rows in quarantine against a real broker: mended, replayed by processes that die or sleep, dropped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from headrace.ingest import bus, markers, topics
from headrace.lake.rows import ORIGIN
from headrace.project import Project, load

COLUMNS = {"id": "integer!", "paid": "decimal(8,2)", "day": "date", "calm": "boolean"}
MENDED = {"id": "integer!", "paid": "string", "day": "string", "calm": "string"}
# A replay that ends its own life when its rows are with the broker: before or after their commit.
KILLED = """
import os, signal, sys
from headrace.pulls import transaction
commit, moment = transaction.commit, sys.argv.pop()
def killed(producer):
    commit(producer) if moment == "after" else producer.flush(30)
    os.kill(os.getpid(), signal.SIGKILL)
transaction.commit = killed
from headrace.cli import main
main()
"""
# One that falls asleep there, and holds no lock that would keep others out.
SLEEPING = """
import os, signal
from contextlib import nullcontext
from headrace.audit import replay
from headrace.pulls import transaction
commit = transaction.commit
def sleeping(producer):
    producer.flush(30)
    os.kill(os.getpid(), signal.SIGSTOP)
    commit(producer)
transaction.commit = sleeping
replay.locked = lambda *_: nullcontext()
from headrace.cli import main
main()
"""


class Letters:
    """A project with a captured table whose connector is the test, and `headrace dlq` for it."""

    def __init__(self, project: Project, make_contract: Any) -> None:
        self.project, self.make_contract = project, make_contract
        self.topic = project.tables["visits"].topic
        self.producer = Producer(bus.producer_settings(project))

    def change(self, op: str, lsn: int, before: dict | None, after: dict | None) -> None:
        key = json.dumps({"id": (after or before or {})["id"]})
        value = {"op": op, "before": before, "after": after, "source": {"lsn": lsn, "ts_ms": 1767225600000}}
        self.producer.produce(self.topic, json.dumps(value), key, 0, headers=[("headrace-epoch", b"17")])

    def mend(self) -> None:
        text = self.make_contract("visits", MENDED, "id").replace("1.0.0", "2.0.0")
        (self.project.root / "schemas/visits.yaml").write_text(text)

    def command(self, *arguments: str, script: str = "from headrace.cli import main; main()") -> list[str]:
        return [sys.executable, "-c", script, "-C", str(self.project.root), "dlq", *arguments]

    def dlq(self, *arguments: str) -> list[dict[str, Any]]:
        command = self.command(*arguments, "--format", "json")
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def counts(self) -> tuple[int, int, int]:
        found = self.dlq("list")
        return tuple(sum(g[state] for g in found) for state in ("open", "replayed", "dropped"))  # type: ignore[return-value]


@pytest.fixture
def letters(shared, make_project, make_contract, request) -> Letters:
    base = shared("bus", "postgres")
    source = request.node.name.removeprefix("test_")
    files = {
        "schemas/visits.yaml": make_contract("visits", COLUMNS, "id"),
        f"lake/sources/{source}.yml": "kind: postgresql\ntables: {visits: public.visits}\n"
        "connection: {url: 'postgresql://nobody:${SHOP_PASSWORD}@127.0.0.1:1/shop'}\n",
    }
    project = make_project(files, on=base)
    assert not project.problems
    topics.ensure(project)
    return Letters(project, make_contract)


def order(row: dict[str, Any]) -> tuple[Any, ...]:
    """The order in which current tables take the changes of a key."""
    return row["epoch"], row["position"], row["partition"], row["offset"]


def latest(rows: list[dict[str, Any]], id: int) -> Any:
    newest = max((row for row in rows if json.loads(row["key"])["id"] == id), key=order)
    return newest["after"] and json.loads(newest["after"])["paid"]


def test_dead_letters_mended(letters: Letters, work, landed, quarantined, on_bus, until) -> None:
    project, topic = letters.project, letters.topic
    work(project)
    letters.change("c", 10, None, {"id": 1, "paid": "1.00"})
    letters.change("u", 20, {"id": 1, "paid": "1.00"}, {"id": 1, "paid": "1.555"})
    letters.change("u", 30, {"id": 2, "paid": "2.00"}, {"id": 2, "paid": "2.555"})
    letters.change("u", 40, None, {"id": 2, "paid": "4.00"})
    letters.producer.produce(topic, b"{bad \xff[/b]", b"\xfe", 0)
    letters.producer.produce(topic, b'{"op": "c", "x": "' + b"x" * (1 << 20) + b'"}', b"big", 0)
    assert letters.producer.flush(30) == 0
    until(lambda: len(quarantined(project, "visits")) == 4, 60, "four rows rejected")
    until(lambda: len(landed(project, "visits")) == 4, 30, "four changes landed")
    assert letters.counts() == (4, 0, 0)
    assert latest(landed(project, "visits"), 1) is None  # its newest image is in quarantine

    assert {r["outcome"] for r in letters.dlq("replay")} == {"left"}  # nothing was mended yet
    assert len(on_bus(project, topic)) == 6
    letters.mend()
    results = Counter({(r["outcome"], r["reason"].partition(":")[0]): r["rows"] for r in letters.dlq("replay")})
    assert results == {("replayed", ""): 2, ("left", "not JSON"): 1, ("left", "oversize"): 1}
    rows = landed(project, "visits")
    assert len(rows) == 6
    again = [row for row in rows if ORIGIN in (row["headers"] or "")]
    assert [(r["op"], r["before"], r["epoch"]) for r in again] == [("u", None, 17)] * 2  # `before` was landed already
    assert [r["position"] for r in again] == [f"{lsn:020d}/{lsn:020d}" for lsn in (20, 30)]
    assert latest(rows, 1) == "1.555"  # nothing newer: the mended row is the key's latest
    assert latest(rows, 2) == "4.00"  # a newer change of the key stays
    assert letters.counts() == (2, 2, 0)
    sent = on_bus(project, topic)[6:]
    assert [(m.key(), m.partition(), dict(m.headers())["headrace-epoch"]) for m in sent] == [
        (b'{"id": 1}', 0, b"17"),
        (b'{"id": 2}', 0, b"17"),
    ]

    results = {r["outcome"]: r["rows"] for r in letters.dlq("replay", "--force")}
    assert results == {"rejected again": 1, "left": 1}  # the oversize row can't be sent even so
    assert letters.counts() == (2, 3, 0)  # the garbage is open again, under its new position
    newest = letters.dlq("show", "--limit", "1")[0]
    assert (newest["state"], newest["key"], newest["value"]) == ("open", "\\xfe", "{bad \\xff[/b]")
    assert subprocess.run(letters.command("show"), capture_output=True, text=True).returncode == 0

    assert letters.dlq("drop", "--rejected", "not JSON", "--reason", "a test") == [{"table": "visits", "dropped": 1}]
    assert letters.dlq("drop", "--rejected", "not JSON", "--reason", "a test") == []
    assert letters.counts() == (1, 3, 1)
    assert [r["rows"] for r in letters.dlq("replay", "--force")] == [1]  # left: the oversize row
    assert len(on_bus(project, topic)) == 9
    assert len(quarantined(project, "visits")) == 5


def test_dead_letters_killed(letters: Letters, work, landed, quarantined, on_bus, all_landed, until) -> None:
    """Replays that die before and after their commit, sleep through another one, or run at the same time."""
    project, size = letters.project, 300
    broken = {"paid": "1.555", "day": "soon", "calm": "very"}
    for wave, (column, value) in enumerate(broken.items()):
        for number in range(size):
            letters.change("c", wave * size + number + 1, None, {"id": wave * size + number, column: value})
    assert letters.producer.flush(30) == 0
    work(project)
    until(lambda: len(quarantined(project, "visits")) == 3 * size, 60, "all rejected")
    letters.mend()

    def replayed() -> Counter[str]:
        heads = [json.loads(row["headers"]) for row in landed(project, "visits")]
        return Counter(head[ORIGIN] for head in heads if ORIGIN in head)

    paid = ("replay", "--reason", "decimal")
    for moment in ("before", "after"):
        command = [*letters.command(*paid, script=KILLED), moment]
        assert subprocess.run(command, capture_output=True, timeout=180).returncode == -signal.SIGKILL
        assert len(on_bus(project, letters.topic)) == 3 * size + (size if moment == "after" else 0)
    assert letters.dlq(*paid) == []  # all of them are on their way or there
    assert len(replayed()) == size

    sleeper = subprocess.Popen(
        letters.command("replay", "--reason", "date", script=SLEEPING), stderr=subprocess.PIPE, text=True
    )
    _, state = os.waitpid(sleeper.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(state)
    assert [(r["outcome"], r["rows"]) for r in letters.dlq("replay", "--reason", "date")] == [("replayed", size)]
    sleeper.send_signal(signal.SIGCONT)
    _, said = sleeper.communicate(timeout=120)
    assert sleeper.returncode == 1
    assert "another replay of table 'visits' has begun" in said

    both = [subprocess.Popen(letters.command("replay"), stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(timeout=180) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    end = markers.write(project, [letters.topic], "end")
    until(lambda: all_landed(project, end), 60, "everything landed")
    assert letters.counts() == (0, 3 * size, 0)
    assert len(replayed()) == 3 * size
    assert set(replayed().values()) == {1}
    assert len(on_bus(project, letters.topic)) == 6 * size
    assert len(quarantined(project, "visits")) == 3 * size


def test_dead_letters_strange(letters: Letters, work, landed, quarantined, on_bus, until, make_contract) -> None:
    """Rows of topics that no table declared: one that landing reads by itself when it is declared, one without append
    times that it rejects again, one that stays strange."""
    project, prefix = letters.project, letters.topic.partition(".")[0]
    client = bus.admin(project)
    timed, untimed, never = (f"{prefix}.public.{name}" for name in ("timed", "untimed", "never"))
    created, append = ({"message.timestamp.type": kind} for kind in ("CreateTime", "LogAppendTime"))
    made = [NewTopic(t, 1, 1, config=c) for t, c in ((timed, append), (untimed, created), (never, created))]
    for future in client.create_topics(made).values():
        future.result(30)
    for topic in (timed, untimed, never):
        for number in range(3):
            value = {"op": "c", "before": None, "after": {"id": number}, "source": {"lsn": number + 1}}
            letters.producer.produce(topic, json.dumps(value), str(number))
    assert letters.producer.flush(30) == 0
    work(project)
    until(lambda: len(quarantined(project, "_unknown")) == 9, 60, "nine strange rows")
    assert {(r["outcome"], r["rows"]) for r in letters.dlq("replay")} == {("left", 3)}
    assert len(letters.dlq("show", "--table", "_unknown")) == 9
    (source,) = (project.root / "lake/sources").iterdir()
    more = "{visits: public.visits, timed: public.timed, untimed: public.untimed}"
    source.write_text(source.read_text().replace("{visits: public.visits}", more))
    for name in ("timed", "untimed"):
        (project.root / f"schemas/{name}.yaml").write_text(make_contract(name, {"id": "integer!"}, "id"))
    project = load(project.root)
    assert not project.problems
    until(lambda: len(landed(project, "timed")) == 3, 60, "landing reads a declared topic from its beginning")
    until(lambda: len(quarantined(project, "untimed")) == 3, 60, "records without append time are rejected")
    results = {(r["table"], r["outcome"]): r["rows"] for r in letters.dlq("replay")}
    assert results == {("untimed", "replayed"): 3, ("_unknown", "left"): 3}
    for name, on_the_bus in (("timed", 3), ("untimed", 6)):
        ids = [json.loads(row["after"])["id"] for row in landed(project, name)]
        assert sorted(ids) == [0, 1, 2]
        assert len(on_bus(project, f"{prefix}.public.{name}")) == on_the_bus
    assert letters.dlq("drop", "--table", "_unknown", "--reason", "nobody's") == [{"table": "_unknown", "dropped": 3}]
    assert letters.counts() == (0, 9, 3)
    assert letters.dlq("replay") == []
