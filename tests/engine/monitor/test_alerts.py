"""Real Prometheus and Alertmanager: each kind of alert fires within a minute of its cause and ends after it.

Also: no rule and no query of the dashboard asks for what nobody says.
"""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from os import kill
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from confluent_kafka import Producer

from headrace.audit import dead_jobs
from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.lake import landing
from headrace.live.run import run
from headrace.local import probe, supervise
from headrace.local.servers import monitoring
from headrace.monitor import rules
from headrace.monitor.firing import firing
from headrace.project import Project, load
from headrace.serve import ops

TABLE, COUNTS, FAILS = "mon_events", "mon_counts", "mon_numbers"
DASHBOARD = Path(__file__).parents[3] / "docker" / "grafana" / "headrace.json"
CONTRACT = f"""apiVersion: v3.1.0
kind: DataContract
id: {TABLE}
version: 1.0.0
schema:
  - name: {TABLE}
    quality:
      - {{metric: rowCount, mustBeGreaterThan: 3, severity: error, name: more than three rows}}
    properties:
      - {{name: id, logicalType: string, required: true, primaryKey: true}}
      - {{name: said, logicalType: string}}
"""
FILES = {
    "lake/sources/mon.yml": f"kind: events\ntables: {{{TABLE}: {TABLE}}}\n",
    f"schemas/{TABLE}.yaml": CONTRACT,
    f"jobs/batch/{COUNTS}.sql": "-- Counts.\n-- owner: finance\n"
    f"SELECT said, COUNT(*) AS n FROM {TABLE} GROUP BY said\n",
    f"jobs/batch/{FAILS}.sql": "-- Numbers.\n-- owner: logistics\n"
    f"SELECT id, CAST(said AS INT) AS number FROM {TABLE}_changes\n",
}
MINUTE = 60.0


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where Alertmanager posts, and what it posted."""
    found: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", found
    server.shutdown()


@pytest.fixture(scope="module")
def project(shared: Callable[..., Project], make_project: Callable[..., Project], platform, told) -> Project:  # type: ignore[no-untyped-def]
    made = make_project(FILES, on=shared("bus", "postgres", "spark"), webhook=told[0])
    assert not made.problems
    topics.ensure(made)
    send(made, ("1", "7"), ("2", "not a number"))
    monitoring.ask(made)
    platform(made, only={"landing", "monitoring"})
    return made


class Watch:
    """What Alertmanager has active, by the alert's name and what it is about."""

    def __init__(self, project: Project) -> None:
        self.alerts = f"http://127.0.0.1:{project.addresses.port('alertmanager')}/api/v2/alerts?active=true"

    def active(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = {}
        for alert in probe.http(self.alerts):
            labels = alert["labels"]
            about = next((labels[n] for n in ("view", "table", "name", "server") if labels.get(n)), "")
            found[labels["alertname"], about] = alert
        return found


def send(project: Project, *rows: tuple[str, str]) -> None:
    producer = Producer({"bootstrap.servers": project.addresses.bus})
    for id_, said in rows:
        producer.produce(project.table(TABLE).topic, json.dumps({"id": id_, "said": said}), id_)
    assert producer.flush(30) == 0


def landed(project: Project, number: int) -> bool:
    return sum(landing.data_positions(project, TABLE).values()) >= number


def test_each_kind_of_alert_fires_within_a_minute_and_ends(project: Project, told, until: Callable[..., Any]):  # type: ignore[no-untyped-def]
    watch, delay, fails = Watch(project), ("IngestionDelay", TABLE), ("JobFailed", FAILS)
    blocks, gone = ("QualityBlocks", TABLE), ("JobGivenUp", FAILS)
    until(lambda: landed(project, 2), 30, "two rows are landed")
    assert not watch.active().keys() & {delay, fails, blocks}
    worker = supervise.states(project)["landing"]["pid"]
    causes: dict[tuple[str, str], float] = {}
    for view, alert in ((FAILS, fails), (COUNTS, blocks)):
        with pytest.raises(HeadraceError):
            run(project, project.job(view))
        causes[alert] = time.monotonic()
    for view in (FAILS, COUNTS):  # as Airflow does after the last try
        ops.dead(project, view, "batch", "it failed")
    assert dead_jobs.drop(project, COUNTS, "tried here only") == f"{COUNTS}: given up"
    assert [(row["job"], row["times"]) for row in ops.dead_jobs(project)] == [(FAILS, 1)]
    causes[gone] = time.monotonic()
    kill(worker, signal.SIGSTOP)
    try:
        send(project, ("3", "8"))
        causes[delay] = time.monotonic()
        took = seen(watch, causes, until, lambda alert: alert in watch.active())
    finally:
        kill(worker, signal.SIGCONT)
    assert max(took.values()) <= MINUTE, took
    found = watch.active()
    assert found[fails]["labels"]["owner"] == "logistics" and found[fails]["labels"]["severity"] == "ticket"
    listed = {(row["alert"], row["about"]): row["severity"] for row in firing(project) or ()}
    assert (listed[delay], listed[fails], listed[blocks]) == ("page", "ticket", "page")
    link = found[delay]["annotations"]["runbook_url"]
    assert f'id="{link.partition("#")[2]}"' in probe.text(link), "the link leads nowhere"
    until(lambda: any(p["receiver"] == "page" and p["status"] == "firing" for p in told[1]), 30, "somebody is told")
    ends = {delay: time.monotonic()}
    send(project, ("4", "9"), ("5", "10"))
    until(lambda: landed(project, 5), 60, "all rows are landed")
    job = project.root / "jobs" / "batch" / f"{FAILS}.sql"
    job.write_text(job.read_text().replace("CAST(", "TRY_CAST("))
    mended = load(project.root)
    assert dead_jobs.replay(mended, FAILS) == f"{FAILS}: succeeded, 5 rows"
    ends[fails] = ends[gone] = time.monotonic()
    assert run(mended, mended.job(COUNTS)).state == "succeeded"
    ends[blocks] = time.monotonic()
    assert ops.dead_jobs(mended) == []
    ended = seen(watch, ends, until, lambda alert: alert not in watch.active())
    print({name: round(s, 1) for (name, _), s in took.items()}, {name: round(s, 1) for (name, _), s in ended.items()})
    assert max(ended.values()) <= MINUTE, ended
    until(lambda: any(p["receiver"] == "page" and p["status"] == "resolved" for p in told[1]), 90, "and that it ended")


def seen(
    watch: Watch,
    since: dict[tuple[str, str], float],
    until: Callable[..., Any],
    there: Callable[[tuple[str, str]], bool],
) -> dict[tuple[str, str], float]:
    """Seconds from each moment until the state is there."""
    took: dict[tuple[str, str], float] = {}

    def all_there() -> bool:
        for alert, at in since.items():
            if alert not in took and there(alert):
                took[alert] = time.monotonic() - at
        return took.keys() == since.keys()

    until(all_there, 2 * MINUTE, f"{sorted(since)} change")
    return took


def test_every_rule_and_every_query_of_the_dashboard_asks_for_what_is_said(project: Project, until: Callable[..., Any]):
    port = project.addresses.port("prometheus")
    metrics = f"http://127.0.0.1:{project.addresses.port('metrics')}/metrics"
    until(lambda: 'look_failed{look="quarantine"} 0.0' in probe.text(metrics), 60, "everything was looked at")
    said = probe.text(metrics)
    assert re.findall(r"headrace_look_failed\{.*\} 1", said) == []
    names = {line.split()[2] for line in said.splitlines() if line.startswith("# TYPE headrace")}
    queries = [rule["expr"] for rule in rules.alerts()]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        queries += [target["expr"] for target in panel.get("targets", [])]
    assert len(queries) >= 40
    for query in queries:
        assert set(re.findall(r"headrace_\w+", query)) <= names, query
        address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        assert probe.http(address)["status"] == "success", query
    groups = probe.http(f"http://127.0.0.1:{port}/api/v1/rules")["data"]["groups"]
    health = {rule["name"]: (rule["health"], rule.get("lastError", "")) for group in groups for rule in group["rules"]}
    assert health == {rule["alert"]: ("ok", "") for rule in rules.alerts()}
