"""The example's stream jobs on real servers: what is produced, what is alerted, on the table and on the topic."""

from __future__ import annotations

import time

from headrace.stream.watch import list_jobs

NEW_COMPANY = True  # all alerts are looked at, whoever caused them
JOBS = (
    "large_failed_payment",
    "failing_payments",
    "courier_emergency",
    "late_delivery",
    "order_record",
    "unhappy_customer",
)


def test_up_started_every_job(company, until):
    states = {r["job"]: (r["state"], r["error"]) for r in list_jobs(company.project) if r["job"] in JOBS}
    assert states == dict.fromkeys(JOBS, ("RUNNING", ""))


def test_each_job_alerts_what_it_should_and_nothing_else(company, until):
    def all_read() -> None:
        for job in JOBS:
            until(lambda j=job: company.read_by(j), 60, f"{job} has read everything")

    now = time.time()
    first = now - 300
    # Payments: large and failed; small; captured; then values that no column takes, and bytes that are no JSON.
    company.payment(101, "failed", "150.50", first, account_id=7)
    company.payment(102, "failed", "100.00", first + 1, account_id=7)
    company.payment(103, "failed", "20.00", first + 2, account_id=7)
    company.payment(104, "captured", "500.00", first + 2, account_id=8, order_id=99)
    company.payment(105, "failed", "dear", first + 3, account_id=8)
    company.payment(106, "failed", "150.505", first + 3, account_id=8)
    company.payment(107, "failed", None, first + 3, account_id=8)
    company.send("payments.payments.payments", b'{"op": "c", "after": {"id": 108', 108)
    company.send("payments.payments.payments", {"op": "c", "after": "text"}, 109)
    # Pings: an emergency sent twice, one with NUL in a text, a calm one, one that lacks its device.
    where = {"courier_id": 1, "latitude": 46.9, "longitude": 7.4, "battery": None}
    for _ in range(2):
        company.event("courier_pings", "help-1", now, device_id="d1", emergency=True, **where)
    company.event("courier_pings", "help-2", now, device_id="d\0two", emergency=True, **where)
    company.event("courier_pings", "calm", now, device_id="d1", emergency=False, **where)
    company.event("courier_pings", "broken", now, emergency=True, **where)
    # Orders: delivered in time, not at all, cancelled, too late.
    for order_id in (1, 2, 3, 4):
        company.order(order_id, "placed", first)
    company.order(3, "cancelled", first + 10)
    company.event("ratings", "r-1", first + 22, order_id=1, stars=1, comment="cold")
    for order_id, after in ((1, 20), (4, 75)):
        # Sources wake from idleness one by one: what is a minute later in event time must not come in the same moment.
        all_read()
        company.event(
            "deliveries",
            f"d-{order_id}",
            first + after,
            delivery_id="x",
            order_id=order_id,
            courier_id=5,
            status="delivered",
        )
        company.event(
            "trips", f"t-{order_id}", first + after, trip_id="t", order_id=order_id, courier_id=5, event="finished"
        )
        company.payment(200 + order_id, "captured", "31.40", first + after + 1, order_id=order_id, account_id=9)
    all_read()
    company.mark()

    assert until(
        lambda: company.rows("SELECT payment_id, amount::text, severity FROM alerts.large_failed_payment"), 20
    ) == [(101, "150.50", "ticket")]
    failing = "SELECT account_id, failures, window_end <= now() FROM alerts.failing_payments"
    assert until(lambda: company.rows(failing), 20) == [(7, 3, True)]
    calls = "SELECT event_id, device_id FROM alerts.courier_emergency ORDER BY 1"
    assert company.rows(calls) == [("help-1", "d1"), ("help-2", "dtwo")]
    late = "SELECT order_id, extract(epoch FROM due_at - placed_at)::int FROM alerts.late_delivery ORDER BY 1"
    until(lambda: len(company.rows(late)) >= 2, 20, "two late deliveries")
    assert company.rows(late) == [(2, 60), (4, 60)]
    record = "SELECT order_id, trip_id, payment_id, amount::text, stars, comment FROM alerts.order_record ORDER BY 1"
    until(lambda: len(company.rows(record)) >= 2, 20, "two completed orders")
    assert company.rows(record) == [(1, "t", 201, "31.40", 1, "***"), (4, "t", 204, "31.40", None, None)]
    raw = record.replace("alerts.", "personal.")
    assert company.rows(raw, "headrace") == [(1, "t", 201, "31.40", 1, "cold"), (4, "t", 204, "31.40", None, None)]
    unhappy = "SELECT order_id, stars, comment FROM {}.unhappy_customer"  # in Python
    assert company.rows(unhappy.format("alerts")) == [(1, 1, "***")]
    assert company.rows(unhappy.format("personal"), "headrace") == [(1, 1, "cold")]
    where = "SELECT count(*), count(latitude), count(longitude) FROM {}.courier_emergency"
    assert company.rows(where.format("alerts")) == [(2, 0, 0)]
    assert company.rows(where.format("personal"), "headrace") == [(2, 2, 2)]


def test_alerts_are_on_their_topics_under_the_same_id(company):
    ((key, value),) = company.on_topic("alerts.large_failed_payment")
    ((alert_id,),) = company.rows("SELECT alert_id FROM alerts.large_failed_payment WHERE payment_id = 101")
    assert key == {"payment_id": 101}
    assert (value["alert_id"], value["amount"], value["severity"]) == (alert_id, "150.50", "ticket")
    assert value["failed_at"].endswith("Z")
    completed = company.on_topic("orders.completed")
    assert sorted((value["order_id"], value["stars"]) for _, value in completed if value) == [(1, 1), (4, None)]


def test_a_session_survives_only_in_utc(company):
    ((raised, failed),) = company.rows("SELECT raised_at, failed_at FROM alerts.large_failed_payment")
    assert 290 < (raised - failed).total_seconds() < 600


def test_an_emergency_is_alerted_without_waiting_for_event_time(company, until):
    began = time.time()
    where = {"courier_id": 2, "latitude": 46.9, "longitude": 7.4, "battery": 3, "device_id": "d2"}
    company.event("courier_pings", "help-3", began, emergency=True, **where)
    until(lambda: company.rows("SELECT 1 FROM alerts.courier_emergency WHERE event_id = 'help-3'"), 10)
