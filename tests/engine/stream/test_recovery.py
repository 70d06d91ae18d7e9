"""Nothing is lost, nothing counts twice when a server is killed or a job stopped. Counts live in Flink's state."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from headrace.stream import ensure as stream
from headrace.stream.watch import list_jobs

LONG = 240  # seconds: servers come back in ten on an idle machine
# Windows of two seconds: each count was for a while only in state, so a replay without it would count again.
COUNTS = """-- Payments per account and two seconds.
-- key: account_id, window_end
SELECT account_id, window_end, COUNT(*) AS payments, COUNT(DISTINCT id) AS different
FROM TABLE(TUMBLE(TABLE payments_changes, DESCRIPTOR(event_time), INTERVAL '2' SECOND))
GROUP BY account_id, window_start, window_end
"""


@pytest.fixture(scope="module")
def counted(company):
    """A job whose windows must add up."""
    company.write_job("payment_counts", COUNTS)
    assert stream.ensure(company.project, "payment_counts")["state"] == "RUNNING"
    return "payment_counts"


class Services(threading.Thread):
    """Payments of one account, 50 a second, until told to stop."""

    accounts = itertools.count(int(time.time()))

    def __init__(self, company) -> None:
        super().__init__()
        self.company, self.account, self.sent, self.enough = company, next(self.accounts), 0, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.enough.set()
        self.join()

    def run(self) -> None:
        while not self.enough.wait(0.02):
            self.sent += 1
            number = self.account * 100_000 + self.sent
            self.company.payment(number, "failed", "500.00", account_id=self.account)


def add_up(company, until, services) -> None:
    """Every payment sent is an alert, and is counted in exactly one window."""
    time.sleep(8)  # a window and the disorder that the contract allows: only then does a marker close the last one
    company.mark("payments")
    account = services.account
    counts = f"SELECT sum(payments)::int, sum(different)::int FROM alerts.payment_counts WHERE account_id = {account}"
    alerts = f"SELECT count(*)::int FROM alerts.large_failed_payment WHERE account_id = {account}"
    until(lambda: company.rows(alerts) == [(services.sent,)], LONG, f"{services.sent} alerts")
    until(
        lambda: company.rows(counts) == [(services.sent, services.sent)],
        LONG,
        f"{services.sent} in {company.rows(counts)}",
    )


def reached(company, until, services, many: int) -> None:
    query = f"SELECT count(*) FROM alerts.large_failed_payment WHERE account_id = {services.account}"
    until(lambda: company.rows(query)[0][0] >= many, LONG, f"{many} alerts")


def test_a_killed_task_manager(company, counted, until):
    with Services(company) as services:
        reached(company, until, services, 100)
        company.kill("flink-taskmanager")
        reached(company, until, services, services.sent + 50)
    add_up(company, until, services)
    restarts = {r["job"]: r["restarts"] for r in list_jobs(company.project)}
    assert restarts["payment_counts"] > 0


def test_a_killed_job_manager_takes_its_jobs_up_again(company, counted, until):
    names = ("payment_counts", "large_failed_payment")
    before = {r["job"]: r["flink_job_id"] for r in list_jobs(company.project)}
    with Services(company) as services:
        reached(company, until, services, 100)
        company.kill("flink-zookeeper")  # it knows what it knew, too
        reached(company, until, services, services.sent + 50)
        company.kill("flink-jobmanager")
        until(lambda: all(r["state"] == "RUNNING" for r in list_jobs(company.project)), LONG, "all jobs run")
        reached(company, until, services, services.sent + 50)
        for name in names:
            done = stream.ensure(company.project, name)
            assert (done["action"], done["state"], done["flink_job_id"]) == ("none", "RUNNING", before[name])
    add_up(company, until, services)


def test_a_job_manager_that_has_lost_its_jobs_and_ensure_restores_them(company, counted, until):
    names = sorted(r["job"] for r in list_jobs(company.project))
    with Services(company) as services:
        reached(company, until, services, 100)
        recovery = company.project.state / "flink" / "recovery"
        recovery.rename(recovery.with_name("lost"))  # at once: all three still write into it
        for server in ("flink-zookeeper", "flink-jobmanager", "flink-taskmanager"):
            company.kill(server)
        lost = lambda: all(r["state"] == "LOST" for r in list_jobs(company.project))  # noqa: E731
        until(lost, LONG, "status says that the jobs are lost")
        for name in names:
            done = until(lambda n=name: _restored(company, n), LONG, f"{name} is restored")
            assert done["action"] == "restored"
            assert "/chk-" in done["from"]
        reached(company, until, services, services.sent + 50)
    add_up(company, until, services)


def _restored(company, name):
    done = stream.ensure(company.project, name)
    return done if done["state"] == "RUNNING" else None


def test_stopped_with_an_open_window_and_started_again(company, counted, until):
    with Services(company) as services:
        reached(company, until, services, 60)
        for name in ("payment_counts", "large_failed_payment"):
            assert stream.stop(company.project, name)["action"] == "stopped"
        states = {r["job"]: r["state"] for r in list_jobs(company.project)}
        assert states["payment_counts"] == "STOPPED"
        for name in ("payment_counts", "large_failed_payment"):
            done = stream.ensure(company.project, name)
            assert done["action"] == "restored"
            assert "/savepoint-" in done["from"]
    add_up(company, until, services)


def test_a_killed_postgresql(company, counted, until):
    with Services(company) as services:
        reached(company, until, services, 60)
        company.kill("postgres")
        reached(company, until, services, services.sent + 50)
    add_up(company, until, services)


def test_ensure_again_changes_nothing_and_a_second_run_is_cancelled(company, counted, until):
    first = stream.ensure(company.project, "payment_counts")
    assert (first["action"], first["state"]) == ("none", "RUNNING")
    from headrace.stream.flink_rest import Flink
    from headrace.stream.plan import flink_name
    from headrace.stream.prepared import prepared
    from headrace.stream.sink import sink_of

    job = company.project.job("payment_counts")
    with prepared(company.project, job) as ready:  # what a race, or somebody by hand, might do
        serving = f"jdbc:postgresql://127.0.0.1:{company.project.addresses.port('postgres')}/headrace"
        secret = company.project.addresses.secret("HEADRACE_SERVING_PASSWORD")
        ready.sinks(
            sink_of(job, ready.columns).statements(company.project.addresses.bus_java(), serving, "headrace", secret)
        )
        ready.submit("")
    flink = Flink(company.project.addresses.flink_rest)
    assert len(flink.jobs(flink_name(company.project, job))) == 2
    again = stream.ensure(company.project, "payment_counts")
    assert again["flink_job_id"] == first["flink_job_id"]
    assert [j["jid"] for j in flink.jobs(flink_name(company.project, job))] == [first["flink_job_id"]]
