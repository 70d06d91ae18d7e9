"""Speed jobs on a real bus, Flink and PostgreSQL: what they sum up, begin again from, and lose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from headrace.ingest import bus, markers, topics
from headrace.ingest.columns import Landed, Rejected
from headrace.ingest.decode import Decoder
from headrace.project.live import live_tables
from headrace.serve import schema
from headrace.sql.live import tables
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import View
from headrace.stream import speed, speed_plan
from headrace.stream.flink_rest import Flink
from headrace.stream.speed import Begin
from tests.engine.stream.conftest import ORDERS, Company, iso

PLACES = "orders.public.restaurants"
BY_CITY = """SELECT r.city, DATE_TRUNC('hour', o.placed_at) AS hour, SUM(o.total) AS revenue, COUNT(*) AS n
FROM orders o LEFT JOIN restaurants r ON r.id = o.restaurant_id WHERE o.status <> 'draft' GROUP BY r.city, hour"""
DELIVERED = "SELECT COUNT(*) AS n, MAX(occurred_at) AS newest FROM deliveries WHERE status = 'speed'"
HOUR = 1_767_225_600.0  # of all orders' placed_at


@dataclass
class Live:
    """A live view without its batch layer: what its speed table sums up to, from the chunk of `begin` on."""

    company: Company
    view: View
    begin: Begin

    def __post_init__(self) -> None:
        with psycopg.connect(self.company.project.addresses.serving("writer"), autocommit=True) as connection:
            for statement in tables.create(self.view):
                connection.execute(statement)  # type: ignore[arg-type]

    @property
    def version(self) -> str:
        return tables.version(self.view)

    @property
    def job(self) -> str:
        return speed.running(self.company.project)[self.view.name, self.version]

    def ensure(self) -> str:
        done = speed.ensure(self.company.project, self.view, self.begin)
        # The statement is keyed as the table is: else Flink would take each row away before it writes the next one.
        details = Flink(self.company.project.addresses.flink_rest).job(self.job) or {"vertices": []}
        names = [v["name"] for v in details["vertices"]]
        assert names and not any("Materializ" in name for name in names)
        return done

    def total(self, measure: str = "sum(m1)") -> tuple[Any, ...]:
        """Number of rows, what the first measure comes to, and whether state was lost."""
        table = tables.speed_table(self.view)
        query = f"SELECT coalesce(sum(row_count), 0)::int, {measure}, coalesce(bool_or(lost), false) FROM {table}"
        return self.company.rows(f"{query} WHERE chunk >= {self.begin.since}", "headrace")[0]

    def caught_up(self) -> bool:
        """Whether all that was sent before is in the tables: markers behind it are reached."""
        project = self.company.project
        self.company.producer.flush()
        topic_of = {topic: table for table, topic in speed_plan.topics(project, self.view).items()}
        wanted: dict[str, dict[int, int]] = {}
        for (topic, partition), offset in markers.write(project, list(topic_of), "speed-test").items():
            wanted.setdefault(topic_of[topic], {})[partition] = offset + 1
        done = speed.wait_until(project, self.view, wanted, 30)
        reached = speed.reached(project, self.view)
        assert all(reached[t][p] >= o for t, parts in wanted.items() for p, o in parts.items()) or not done
        return done


@pytest.fixture
def live(company) -> Iterator[Callable[..., Live]]:
    """live(name, query, seconds): a view whose cut is now. Its job is stopped at the end."""
    project, made = company.project, []
    schema.ensure(project)
    topics.ensure(project)

    def make(name: str, query: str, seconds: int = 10) -> Live:
        company.producer.flush()
        found = compile_live(name, query, live_tables(project))
        assert found.view is not None, found.mistakes
        view = replace(found.view, seconds=seconds)
        there = bus.partitions(project)
        offsets = {}
        for table, topic in speed_plan.topics(project, view).items():
            ends = bus.ends(project, {topic: there[topic]})
            offsets[table] = {p: offset for (_, p), offset in ends.items()}
        made.append(Live(company, view, Begin(int(time.time()) // seconds - 1, offsets)))
        return made[-1]

    yield make
    for one in made:
        speed.stop(project, one.view.name, one.version)


class Orders(threading.Thread):
    """Orders of one franc, 100 a second, until told to stop; and the looks of a reader, 50 a second."""

    def __init__(self, live: Live, first: int) -> None:
        super().__init__()
        self.live, self.first, self.sent, self.enough = live, first, 0, threading.Event()
        self.looks: list[int] = [0]

    def __enter__(self) -> Orders:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()

    def run(self) -> None:
        while not self.enough.wait(0.02):
            for _ in range(2):
                self.live.company.order(self.first + self.sent, "placed", HOUR, total="1.00")
                self.sent += 1
            self.looks.append(self.live.total()[0])


def test_a_job_killed_while_rows_come_begins_again_at_the_cut_and_never_shows_less(company, live, until):
    one = live("speed_by_city", BY_CITY)
    assert one.ensure() == "started"
    first = one.job
    with Orders(one, 7_000_000) as orders:
        until(lambda: orders.looks[-1] > 200, 30, "orders are counted")
        assert one.ensure() == "none" and one.job == first
        Flink(company.project.addresses.flink_rest).cancel(first)
        assert one.ensure() == "started"
        assert one.job != first
        until(lambda: orders.looks[-1] > orders.sent - 100, 30, "it has caught up")
    assert one.caught_up()
    assert one.total() == (orders.sent, Decimal(orders.sent), False)
    assert orders.looks == sorted(orders.looks)

    speed.stop(company.project, one.view.name, one.version)
    assert (one.view.name, one.version) not in speed.running(company.project)
    folder = speed_plan.checkpoints(company.project, one.view.name, one.version)
    assert folder is not None and not folder.exists()
    assert speed.reached(company.project, one.view) == {}


def test_a_killed_taskmanager_under_a_speed_job(company, live, until):
    """Flink goes on from a checkpoint by itself: rows that were shown come again, in part, and never less of them."""
    one = live("speed_killed", BY_CITY)
    assert one.ensure() == "started"
    first = one.job
    with Orders(one, 7_500_000) as orders:
        until(lambda: orders.looks[-1] > 200, 30, "orders are counted")
        company.kill("flink-taskmanager")
        until(lambda: orders.looks[-1] > orders.sent - 100, 90, "it has caught up")
    assert one.caught_up()
    assert one.ensure() == "none" and one.job == first
    assert one.total() == (orders.sent, Decimal(orders.sent), False)
    assert orders.looks == sorted(orders.looks)


def order(
    company: Company, op: str, before: dict[str, Any] | None, after: dict[str, Any] | None, partition: int = -1
) -> None:
    images = [
        i and {"customer_id": 1, "refunded": "0.00", "placed_at": iso(HOUR), "updated_at": iso(HOUR), **i}
        for i in (before, after)
    ]
    value = {"op": op, "before": images[0], "after": images[1], "source": {"ts_ms": 0}, "ts_ms": 0}
    company.send(ORDERS, value, (after or before or {})["id"], partition)


def test_changes_of_all_kinds_and_joined_rows(company, live, until):
    """Updates within a group and out of it, into and out of the filter, deletes, a snapshot row, transactions."""
    one = live("speed_changes", BY_CITY)
    assert one.ensure() == "started"
    a = {"id": 7_100_001, "restaurant_id": 71, "status": "placed", "total": "10.00"}
    b = {"id": 7_100_002, "restaurant_id": 71, "status": "draft", "total": "5.50"}
    c = {"id": 7_100_003, "restaurant_id": 72, "status": "placed", "total": "7.00"}
    order(company, "c", None, a)
    order(company, "u", a, a | {"total": "12.00"})
    order(company, "c", None, b)
    order(company, "u", b, b | {"status": "placed"})
    order(company, "c", None, c)
    order(company, "u", c, c | {"restaurant_id": 71})
    order(company, "r", None, {"id": 7_100_004, "restaurant_id": 71, "status": "placed", "total": "1000.00"})
    order(company, "d", a | {"total": "12.00"}, None)
    place = {"name": "Krone", "cuisine": "soup", "updated_at": iso(HOUR)}
    for id_, city in ((71, "Bern"), (72, "Thun"), (71, "Biel")):
        company.change(PLACES, {"id": id_, "city": city, **place})
    company.change(PLACES, {"id": 72, "city": "Thun", **place}, "d")

    # What a transaction has written counts when it commits, and never when it is aborted.
    settings = bus.producer_settings(company.project, transactional_id="speed-test")
    producer = Producer(settings)
    producer.init_transactions(30)
    for total, end in (("100.00", producer.abort_transaction), ("0.25", producer.commit_transaction)):
        producer.begin_transaction()
        image = {"id": 7_100_005, "restaurant_id": 72, "status": "placed", "total": total, "customer_id": 1}
        image |= {"refunded": "0.00", "placed_at": iso(HOUR), "updated_at": iso(HOUR)}
        value = {"op": "c", "before": None, "after": image, "source": {"ts_ms": 0}, "ts_ms": 0}
        producer.produce(ORDERS, json.dumps(value).encode(), b"7100005")
        producer.flush()
        end(30)

    assert one.caught_up()
    query = f"SELECT k1, k2, sum(row_count)::int, sum(m1) FROM {tables.speed_table(one.view)} GROUP BY 1, 2 ORDER BY 1"
    found = [(k1, k2.timestamp(), n, m1) for k1, k2, n, m1 in company.rows(query, "headrace")]
    assert found == [(71, HOUR, 2, Decimal("12.50")), (72, HOUR, 1, Decimal("0.25"))]
    joined = tables.dimension_table(one.view, one.view.dimensions[0])
    rows = company.rows(f"SELECT id, city, gone FROM {joined} WHERE id IN (71, 72) ORDER BY id", "headrace")
    assert rows == [(71, "Biel", False), (72, None, True)]


def test_an_event_sent_before_the_cut_does_not_count_when_it_is_sent_again(company, live, until):
    one = live("speed_delivered", DELIVERED, seconds=1)
    event = {"delivery_id": "d", "order_id": 7, "courier_id": 1, "status": "speed"}
    company.event("deliveries", "speed-1", HOUR, **event)
    company.producer.flush()
    one.begin = replace(one.begin, since=int(time.time()) + 1)  # the offsets stay: a horizon earlier
    until(lambda: time.time() > one.begin.since, 5, "the cut is past")
    assert one.ensure() == "started"
    company.event("deliveries", "speed-1", HOUR + 1, **event)
    company.event("deliveries", "speed-2", HOUR + 2, **event)
    company.event("deliveries", "speed-2", HOUR + 3, **event)
    assert one.caught_up()
    n, newest, lost = one.total("max(m1)")
    assert (n, newest.timestamp(), lost) == (1, HOUR + 2, False)


def test_what_is_not_one_object_counts_in_no_layer(company, live):
    """Flink's own JSON format takes each of these but the last; landing has them in quarantine, and so no batch row."""
    one = live("speed_bodies", DELIVERED.replace("'speed'", "'body'"), seconds=1)
    assert one.ensure() == "started"
    event = {"delivery_id": "d", "order_id": 7, "courier_id": 1, "status": "body", "occurred_at": iso(HOUR)}

    def body(number: int) -> bytes:
        return json.dumps(event | {"event_id": f"body-{number}", "note": 'a } and a { in a \\" text'}).encode()

    bad = [b"[%s]" % body(1), b"[%s, %s]" % (body(2), body(3)), body(4) + body(5), b"\xef\xbb\xbf" + body(6)]
    bad += [body(7).decode().encode("utf-16-le"), body(8) + b"]", b"7"]
    landed, rejected = Landed(), Rejected()
    for value in [*bad, b"  " + body(9) + b"\n"]:
        company.send("events.deliveries", value, 7, partition=0)
    company.producer.flush()
    sent = [m for m in bus.read_to_end(company.project, "events.deliveries") if m.partition() == 0][-len(bad) - 1 :]
    Decoder(company.project.table("deliveries"), "events", "events").decode(sent, landed, rejected)
    assert (len(landed), len(rejected)) == (1, len(bad))
    assert one.caught_up()
    assert one.total("max(m1)")[0] == 1


def test_lost_state_is_found_and_made_good(company, live, until, monkeypatch):
    """State expires between two rows of a chunk: the known sum stays until a job without state has passed it."""
    one = live("speed_lost", BY_CITY, seconds=3600)
    monkeypatch.setattr(speed_plan, "KEPT_SECONDS", 1)
    assert one.ensure() == "started"
    sent = 0

    def again() -> bool:
        nonlocal sent
        image = {"id": 7_200_000 + sent, "restaurant_id": 1, "status": "placed", "total": "1.00"}
        order(company, "c", None, image, partition=0)
        company.producer.flush()
        sent += 1
        until(lambda: one.total()[0] == sent or one.total()[2], 20, "it is counted, or its state is found lost")
        counted = time.monotonic()
        until(lambda: time.monotonic() - counted > 1.5, 5, "longer than the second for which state is kept")
        return one.total()[2]

    until(again, 40, "a row is marked as lost")
    monkeypatch.undo()
    known = one.total()[0]
    assert 0 < known < sent  # what came behind the loss is not counted, and nothing is counted for less
    first = one.job
    assert one.ensure() == "started" and one.job != first
    until(lambda: one.total() == (sent, Decimal(sent), False) or one.total()[0] < known, 30, "it is made good")
    assert one.total() == (sent, Decimal(sent), False)
    assert one.ensure() == "none"


def test_an_outage_that_flink_no_longer_knows_of_is_noted(company, live, until):
    one = live("speed_outage", BY_CITY, seconds=3600)
    assert one.ensure() == "started"
    first = one.job

    def taken_up() -> None:
        flink = Flink(company.project.addresses.flink_rest)
        until(lambda: flink.checkpoints(first).get("latest", {}).get("completed"), 60, "a checkpoint is complete")
        company.kill("flink-jobmanager")
        until(lambda: flink.checkpoints(first).get("latest", {}).get("restored"), 60, "the job is taken up again")

    taken_up()
    assert (one.ensure(), one.job) == ("none", first)
    with psycopg.connect(company.project.addresses.serving("writer"), autocommit=True) as connection:
        connection.execute("UPDATE ops.speed_jobs SET sound_at = sound_at - interval '1 hour'")
    taken_up()
    assert one.ensure() == "started" and one.job != first
    assert one.ensure() == "none"
