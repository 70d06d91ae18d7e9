"""Landing workers against a real broker: killed, paused, misled. Every row of the topic is in the lake once."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from threading import Thread

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from headrace.ingest import bus, markers, stalls, topics, worker
from headrace.lake import landing
from headrace.project import Project, load

COLUMNS = {"id": "integer!", "note": "string", "paid": "decimal(8,2)", "left_at": "timestamp"}


@pytest.fixture
def events(shared, make_project, make_contract, request):
    """A project with one table of events on a topic of its own: events_<test>.things."""
    topic = f"{request.node.name.split('[')[0]}.things"
    files = {
        "schemas/things.yaml": make_contract("things", COLUMNS, "id", "left_at"),
        "lake/sources/sensors.yml": f"kind: events\ntables:\n  things: {topic}\n",
    }
    project = make_project(files, on=shared("bus"), partitions=3)
    assert not project.problems
    topics.ensure(project)
    return project


def send(project: Project, topic: str, ids: range, **settings: object) -> None:
    producer = Producer(bus.producer_settings(project, **settings))
    for number in ids:
        row = {"id": number, "note": "x" * (number % 300), "paid": "1.50", "left_at": "2026-01-01T00:00:00Z"}
        producer.produce(topic, json.dumps(row), str(number))
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(30) == 0


def same(rows, records) -> bool:
    """Whether the lake holds exactly the topic: every partition and offset, with its bytes."""
    lake = Counter((r["partition"], r["offset"], r["after"]) for r in rows)
    return lake == Counter((r.partition(), r.offset(), r.value().decode()) for r in records)


def test_workers_killed_again_and_again(events, work, landed, on_bus, all_landed, until) -> None:
    topic = events.tables["things"].topic
    chance = random.Random(4)
    workers = [work(events), work(events)]
    for round in range(6):
        send(events, topic, range(round * 10_000, (round + 1) * 10_000))
        time.sleep(chance.uniform(0, 2.5))  # not waiting for a state: the kill must hit any moment of a batch
        workers.pop(0).kill()
        workers.append(work(events))
    targets = markers.write(events, [topic], "end")
    until(lambda: all_landed(events, targets), 90, "everything landed")
    rows = landed(events, "things")
    assert len(rows) == 60_000
    assert same(rows, on_bus(events, topic))


def test_rows_that_no_table_can_hold_are_set_aside_and_the_others_land(
    events, work, landed, quarantined, until
) -> None:
    """Any service can send such a header; before, the worker died of its batch again and again."""
    topic, row = (
        events.tables["things"].topic,
        {"id": 1, "note": "x", "paid": "1.50", "left_at": "2026-01-01T00:00:00Z"},
    )
    send(events, topic, range(2000))
    producer = Producer(bus.producer_settings(events))
    for number in (1, 2):
        producer.produce(topic, json.dumps(row | {"id": -number}), headers={"headrace-epoch": b"9" * 30})
    assert producer.flush(30) == 0
    send(events, topic, range(2000, 3000))
    work(events)
    bad = until(lambda: len(b := quarantined(events, "things")) == 2 and b, 60, "both are in quarantine")
    assert all("can't be landed" in row["reason"] and row["raw"] for row in bad)
    until(lambda: len(landed(events, "things")) == 3000, 40, "the others landed")


def test_a_member_that_slept_through_a_rebalance(events, work, landed, on_bus, all_landed, until) -> None:
    topic = events.tables["things"].topic
    sleeper = work(events)
    send(events, topic, range(100))
    until(lambda: len(landed(events, "things")) == 100, 40, "the first rows landed")
    sleeper.send(signal.SIGSTOP)
    send(events, topic, range(100, 200))
    other = work(events)  # gets the partitions when the sleeper's session (15 s) is over
    targets = markers.write(events, [topic], "end")
    until(lambda: all_landed(events, targets), 60, "the other member landed the rest")
    sleeper.send(signal.SIGCONT)
    send(events, topic, range(200, 300))
    targets = markers.write(events, [topic], "end")
    until(lambda: all_landed(events, targets), 60, "both went on")
    assert other.process.poll() is None
    assert sleeper.process.poll() is None
    assert same(landed(events, "things"), on_bus(events, topic))


def test_uncommitted_and_aborted_records_are_never_landed(events, work, landed, until) -> None:
    topic = events.tables["things"].topic
    work(events)
    producer = Producer(bus.producer_settings(events, transactional_id=topic))
    producer.init_transactions(30)
    for number, commit in ((1, True), (2, False), (3, True)):
        producer.begin_transaction()
        producer.produce(topic, json.dumps({"id": number}), str(number), partition=0)
        producer.commit_transaction(30) if commit else (producer.flush(30), producer.abort_transaction(30))
    until(lambda: [json.loads(r["after"])["id"] for r in landed(events, "things")] == [1, 3], 40, "1 and 3")


def test_bad_input_goes_to_quarantine_and_the_rest_goes_on(events, work, landed, quarantined, until) -> None:
    topic = events.tables["things"].topic
    bad = [
        (b"{bad", "not JSON", None),
        (b'{"id": "one"}', "expected a 64-bit integer", "id"),
        (b'{"note": "no id"}', "missing", "id"),
        (b'{"id": 1, "paid": "1.555"}', "expected decimal(8,2)", "paid"),
        (b'{"id": 1, "note": "' + b"x" * 2_000_000 + b'"}', "oversize", None),
    ]
    work(events)
    producer = Producer(bus.producer_settings(events))
    for raw, _, _ in bad:
        producer.produce(topic, raw, b"k", partition=0)
        producer.produce(topic, b'{"id": 1}', b"1", partition=0)
    stranger = topic.replace("things", "strangers")
    client = bus.admin(events)
    client.create_topics([NewTopic(stranger, 1, 1)])[stranger].result(30)
    producer.produce(stranger, b'{"id": 1}', b"1")
    assert producer.flush(30) == 0
    rejected = until(lambda: len(q := quarantined(events, "things")) == len(bad) and q, 40, "all bad rows quarantined")
    for row, (raw, reason, column) in zip(rejected, bad, strict=True):
        assert (row["raw"], row["raw_key"], row["column"]) == (raw, b"k", column)
        assert reason in row["reason"]
    assert len(until(lambda: landed(events, "things"), 20, "good rows landed")) == len(bad)
    (row,) = until(lambda: quarantined(events, "_unknown"), 40, "the stranger's row")
    assert (row["topic"], row["raw"]) == (stranger, b'{"id": 1}')
    assert "no source declares" in row["reason"]


def test_changed_files_are_taken_up(events, work, landed, quarantined, make_contract, until) -> None:
    topic = events.tables["things"].topic
    work(events)
    producer = Producer(bus.producer_settings(events))
    producer.produce(topic, b'{"id": 1, "left_at": "soon"}')
    producer.flush(30)
    until(lambda: quarantined(events, "things"), 40, "rejected by the first contract")
    contract = make_contract("things", COLUMNS | {"left_at": "string"}, "id").replace("1.0.0", "2.0.0")
    (events.root / "schemas/things.yaml").write_text(contract)
    (events.root / "schemas/others.yaml").write_text(make_contract("others", {"id": "integer!"}, "id"))
    other = topic.replace("things", "others")
    tables = f"  things: {topic}\n  others: {other}\n"
    (events.root / "lake/sources/sensors.yml").write_text(f"kind: events\ntables:\n{tables}")
    until(lambda: other in bus.partitions(events), 40, "the worker made the new topic")
    producer.produce(topic, b'{"id": 2, "left_at": "soon"}')
    producer.produce(other, b'{"id": 3}')
    producer.flush(30)
    (row,) = until(lambda: landed(events, "things"), 40, "landed by the second contract")
    assert row["contract_version"] == "2.0.0"
    assert until(lambda: landed(load(events.root), "others"), 40, "the new table landed")


def test_a_topic_without_append_time_stops_until_repaired(events, work, landed, quarantined, until) -> None:
    topic = events.tables["things"].topic
    client = bus.admin(events)
    worker = work(events)
    until(lambda: landing.positions(events, "things"), 40, "the table is open")
    wrong = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[wrong])
    client.incremental_alter_configs([change])[change].result(30)
    send(events, topic, range(3))
    until(lambda: "STOPPED" in worker.log.read_text(), 40, "it says so")
    assert landed(events, "things") == []
    topics.ensure(events)
    send(events, topic, range(3, 6))
    until(lambda: len(landed(events, "things")) == 3, 60, "goes on with what has append time")
    assert {row["reason"][:29] for row in quarantined(events, "things")} == {"the record has no append time"}


def test_a_stopped_worker_leaves_the_group_at_once(events, work, landed, until) -> None:
    first = work(events)
    send(events, events.tables["things"].topic, range(50))
    until(lambda: len(landed(events, "things")) == 50, 40, "landed")
    assert first.stop() == 0
    began = time.monotonic()
    work(events)
    send(events, events.tables["things"].topic, range(50, 60))
    until(lambda: len(landed(events, "things")) == 60, 40, "the next one landed")
    assert time.monotonic() - began < 14  # the session of a member that did not leave lasts 15 s


def test_partitions_that_the_client_stops_reading_are_read_again(
    events, monkeypatch, on_bus, landed, all_landed, until
) -> None:
    # Nobody can make the client wait for a leader for ever: it is told behind the worker's back to read no more.
    monkeypatch.setattr(stalls, "ANEW", 3.0)
    monkeypatch.setattr(worker, "LOOK", 0.5)
    topic = events.tables["things"].topic
    reader = worker.Worker(events)
    thread = Thread(target=reader.run)
    thread.start()
    try:
        send(events, topic, range(100))
        targets = markers.write(events, [topic], "before")
        until(lambda: all_landed(events, targets), 60, "the first rows are landed")
        reader._consumer.pause(reader._consumer.assignment())
        send(events, topic, range(100, 200))
        targets = markers.write(events, [topic], "after")
        until(lambda: all_landed(events, targets), 60, "the next rows are landed")
    finally:
        reader.stop()
        thread.join()
    assert same(landed(events, "things"), on_bus(events, topic))


def test_ends_of_transactions_are_not_waited_for(events, monkeypatch, landed, until) -> None:
    monkeypatch.setattr(stalls, "ANEW", 2.0)
    monkeypatch.setattr(worker, "LOOK", 0.5)
    looks: list[str] = []
    real = stalls.Stalls.look
    monkeypatch.setattr(stalls.Stalls, "look", lambda *given: looks.append(real(*given)) or looks[-1])
    topic = events.tables["things"].topic
    reader = worker.Worker(events)
    thread = Thread(target=reader.run)
    thread.start()
    try:
        producer = Producer(bus.producer_settings(events, transactional_id=topic))
        producer.init_transactions(30)
        for first, end in ((0, producer.commit_transaction), (50, producer.abort_transaction)):
            producer.begin_transaction()
            for number in range(first, first + 50):
                row = {"id": number, "note": "", "paid": "1.50", "left_at": "2026-01-01T00:00:00Z"}
                producer.produce(topic, json.dumps(row), str(number))
            producer.flush(30)
            end(30)
        until(lambda: len(landed(events, "things")) == 50, 60, "what was committed is landed")
        begun = len(looks)
        until(lambda: len(looks) > begun + 10, 60, "it has looked for longer than it waits")
    finally:
        reader.stop()
        thread.join()
    assert set(looks) == {""}
