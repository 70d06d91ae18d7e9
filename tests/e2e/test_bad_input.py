"""Bad input: a clear error where a person looks, and the rest goes on: the next file's orders come in to the same
platform, and every view is exact."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from deltalake import DeltaTable

from headrace.lake import paths
from tests.e2e.company import Company

GOOD = {"event_id": "bad-input-0", "order_id": 1, "stars": 5, "comment": None, "occurred_at": "2026-01-31T12:00:00Z"}


def send(company: Company, topic: str, value: bytes) -> int:
    """Puts a message on the bus as a service would; returns its offset in partition 0."""
    offsets = []
    producer = Producer(
        {"bootstrap.servers": company.project.addresses.bus, "acks": "all", "message.max.bytes": 9 << 20}
    )
    producer.produce(
        topic,
        value,
        key=b"1",
        partition=0,
        on_delivery=lambda error, message: offsets.append((error, message.offset())),
    )
    producer.flush(30)
    error, offset = offsets[0]
    assert error is None, error
    return offset


@pytest.mark.parametrize(
    ("what", "value", "reason", "column"),
    [
        ("malformed JSON", b'{"event_id": "bad-input-1", "order_id": 1', "JSON", None),
        ("wrong type", json.dumps(GOOD | {"stars": "five"}).encode(), "expected", "stars"),
        (
            "missing required column",
            json.dumps({k: v for k, v in GOOD.items() if k != "order_id"}).encode(),
            "missing",
            "order_id",
        ),
        ("oversize message", json.dumps(GOOD | {"comment": "x" * (2 << 20)}).encode(), "oversize", None),
    ],
)
def test_a_bad_message_is_kept_with_its_reason(
    company: Company, until: Callable[..., list], what: str, value: bytes, reason: str, column: str | None
):
    offset = send(company, "events.ratings", value)
    path = paths.quarantine(company.project, "ratings")

    def there() -> list:
        rows = DeltaTable(path).to_pyarrow_table(filters=[("partition", "=", 0), ("offset", "=", offset)]).to_pylist()
        return rows

    (row,) = until(there, 30, f"{what} in quarantine")
    assert row["raw"] == value
    assert reason in row["reason"], row["reason"]
    assert row["column"] == column
    shown = company.headrace("query", "--lake", f'SELECT reason FROM quarantine.ratings WHERE "offset" = {offset}')
    assert reason in shown.stdout


def test_a_topic_without_a_table_is_kept_too(company: Company, until: Callable[..., list]):
    topic = "orders.public.coupons"
    admin = AdminClient({"bootstrap.servers": company.project.addresses.bus})
    config = {"message.timestamp.type": "LogAppendTime"}
    admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(30)
    send(company, topic, b'{"op": "c", "before": null, "after": {"id": 1}, "source": {}, "ts_ms": 1}')
    path = paths.quarantine(company.project, paths.UNKNOWN)
    rows = until(lambda: [r for r in DeltaTable(path).to_pyarrow_table().to_pylist() if r["topic"] == topic], 60, topic)
    assert "coupons" in rows[0]["reason"]


def test_a_job_with_a_mistake_in_its_sql_says_where(company: Company):
    job = company.root / "jobs" / "batch" / "wrong_sum.sql"
    job.write_text(
        "-- Not Spark's function.\nSELECT restaurant_id, SUMM(total) AS revenue\nFROM orders GROUP BY restaurant_id\n"
    )
    try:
        failed = company.headrace("run", "wrong_sum", ok=False)
        assert failed.returncode == 1
        assert "jobs/batch/wrong_sum.sql:2" in failed.stderr, failed.stderr
        assert "SUMM" in failed.stderr.upper()
        assert "Traceback" not in failed.stderr
        company.headrace("run", "revenue_per_restaurant")
    finally:
        job.unlink()


def test_a_job_that_names_a_missing_table_is_found_without_an_engine(company: Company):
    job = company.root / "jobs" / "batch" / "wrong_table.sql"
    job.write_text("SELECT COUNT(*) AS n\nFROM oders\n")
    try:
        failed = company.headrace("check", ok=False)
        assert failed.returncode == 1
        assert "jobs/batch/wrong_table.sql:2" in failed.stderr, failed.stderr
        assert "'oders'" in failed.stderr
        assert "did you mean 'orders'" in failed.stderr
        company.headrace("run", "revenue_per_restaurant")
    finally:
        job.unlink()
    company.headrace("check")


def test_a_source_with_a_wrong_password_is_named_and_the_others_go_on(
    company: Company, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TILL_PASSWORD", "not-it")
    port = company.project.addresses.source_port("payments")
    source, contract = company.root / "lake" / "sources" / "till.yml", company.root / "schemas" / "receipts.yaml"
    source.write_text(
        f"kind: mariadb\nconnection: {{url: 'mariadb://headrace:${{TILL_PASSWORD}}@127.0.0.1:{port}/payments'}}\n"
        "tables: {receipts: payments.receipts}\n"
    )
    contract.write_text((company.root / "schemas" / "refunds.yaml").read_text().replace("refunds", "receipts"))
    try:
        said = company.headrace("up", ok=False)
        assert "till" in said.stdout + said.stderr
        assert "Access denied" in said.stdout + said.stderr, said.stdout + said.stderr
        assert "not-it" not in said.stdout + said.stderr
    finally:
        source.unlink()
        contract.unlink()
    company.headrace("up")
