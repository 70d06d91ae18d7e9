"""One table of every kind of source, landed and joined in one view; each changes, its database is killed, and so on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from neo4j import GraphDatabase

from headrace.audit import listing
from headrace.audit.certificate import audit
from headrace.batch.run import run
from headrace.ingest import bus, connectors, markers, topics
from headrace.ingest.database import connect
from headrace.local import probe, supervise
from headrace.project import Project
from headrace.pulls.pull import pull
from headrace.serve.reading import query

from .conftest import Worker

KINDS = {
    "postgresql": ("connection: {url: 'SHOP'}", "{from: public.every_postgresql}"),
    "mariadb": ("connection: {url: 'TILL'}", "{from: till.every_mariadb}"),
    "cassandra": ("connection: {url: 'RING'}", "{from: ring.every_cassandra}"),
    "neo4j": ("connection: {url: 'TOWN'}", "{from: '(:Every)'}"),
    "jdbc": ("connection: {url: 'TILL'}", "{from: every_jdbc, watermark: at}"),
    "csv": ("connection: {path: drop}", "{from: '*.csv', format: csv}"),
    "parquet": ("connection: {path: drop}", "{from: '*.parquet', format: parquet}"),
    "rest": ("connection: {url: 'SITE/v1'}", "{path: /every}"),
    "events": ("owner: everybody", "{from: every_events}"),
}
SERVERS = {"source-shop", "source-till", "source-ring", "source-town"}
VIEW = "-- What every source says of an id.\nSELECT postgresql.id, {} FROM every_postgresql AS postgresql {}\n".format(
    ", ".join(f"{kind}.says AS {kind}" for kind in KINDS),
    " ".join(f"JOIN every_{kind} AS {kind} ON {kind}.id = postgresql.id" for kind in list(KINDS)[1:]),
)
TABLE = "CREATE TABLE every_{} (id bigint PRIMARY KEY, says varchar(20), at timestamp)"


class Company:
    """Services that write `says` of an id, each to its own source."""

    def __init__(self, project: Project, site: Any) -> None:
        self.project, self.said = project, dict[int, str]()
        site.answer = lambda request: json.dumps([{"id": i, "says": s} for i, s in self.said.items()]).encode()
        user = ("headrace", project.addresses.secret("RING_PASSWORD"))
        with probe.cassandra_session(self.port("cassandra"), user) as ring:
            ring.execute("CREATE TABLE IF NOT EXISTS ring.every_cassandra (id bigint PRIMARY KEY, says text)")
        for source, table in (("postgresql", "postgresql"), ("mariadb", "mariadb"), ("mariadb", "jdbc")):
            with self.cursor(source) as cursor:
                cursor.execute(TABLE.format(table))

    def cursor(self, kind: str) -> Any:
        return connect(self.project, self.project.source(f"every_{kind}"))

    def port(self, kind: str) -> int:
        return urlsplit(self.project.addresses.source(self.project.source(f"every_{kind}"))).port or 0

    def say(self, id: int, text: str, at: str) -> None:
        self.said[id] = text
        for source, table in (("postgresql", "postgresql"), ("mariadb", "mariadb"), ("mariadb", "jdbc")):
            with self.cursor(source) as cursor:
                cursor.execute(f"DELETE FROM every_{table} WHERE id = {id}")
                cursor.execute(f"INSERT INTO every_{table} VALUES ({id}, '{text}', '{at}')")
        user = ("headrace", self.project.addresses.secret("RING_PASSWORD"))
        with probe.cassandra_session(self.port("cassandra"), user) as ring:
            ring.execute(f"INSERT INTO ring.every_cassandra (id, says) VALUES ({id}, '{text}')")
        address = ("headrace", self.project.addresses.secret("TOWN_PASSWORD"))
        with GraphDatabase.driver(f"bolt://127.0.0.1:{self.port('neo4j')}", auth=address) as driver:
            driver.execute_query("MERGE (e:Every {id: $id}) SET e.says = $says", {"id": id, "says": text})
        folder = self.project.root / "drop"
        (folder / f"{at[:10]}.csv").write_text(f"id,says\n{id},{text}\n")
        pq.write_table(pa.table({"id": [id], "says": [text]}), folder / f"{at[:10]}.parquet")
        producer = Producer(bus.producer_settings(self.project))
        producer.produce("every_events", json.dumps({"id": id, "says": text}), str(id))  # one key, one order
        assert producer.flush(10) == 0


@pytest.fixture(scope="module")
def project(shared, make_project, make_contract, shared_url, module_site) -> Project:
    names = {"shop": "SHOP", "till": "TILL", "ring": "RING", "town": "TOWN"}
    base = shared("bus", "connect", "postgres", "spark", *(f"source:{name}" for name in names))
    files = {"jobs/batch/every_source.sql": VIEW}
    for kind, (connection, table) in KINDS.items():
        for name, word in names.items():
            connection = connection.replace(f"'{word}'", f"'{shared_url(base, name)}'")
        source = {"csv": "files", "parquet": "files"}.get(kind, kind)
        text = f"kind: {source}\n{connection.replace('SITE', module_site.url)}\ntables: {{every_{kind}: {table}}}\n"
        files[f"lake/sources/every_{kind}.yml"] = text
        files[f"schemas/every_{kind}.yaml"] = make_contract(
            f"every_{kind}",
            {"id": "integer!", "says": "string"} | ({"at": "timestamp"} if kind == "jdbc" else {}),
            "id",
        )
    made = make_project(files, on=base)
    assert not made.problems, made.problems
    (made.root / "drop").mkdir()
    return made


@pytest.fixture(scope="module")
def company(project, module_site) -> Company:
    return Company(project, module_site)


@pytest.fixture
def worker(project, company) -> Iterator[Worker]:
    topics.ensure(project)
    started = Worker(project)
    yield started
    started.stop()


@pytest.fixture
def told(project, worker, until, all_landed) -> Callable[[], list[tuple[Any, ...]]]:
    """told(): the view's rows, when everything that the services have committed is in it."""

    def read() -> list[tuple[Any, ...]]:
        for source in project.sources:
            if source.mode == "cron":
                until(lambda source=source: pull(project, source)["skipped"] == [], 60, f"{source.name} is pulled")
        targets = until(lambda: markers.mark(project, 20), 90, "a marker comes through")
        until(lambda: all_landed(project, targets), 60, "all is landed")
        run(project, project.job("every_source"))
        return query(project, "SELECT * FROM every_source ORDER BY id").rows

    return read


def test_every_kind_of_source_lands_and_joins_in_one_view(project, company, told, shared, until) -> None:
    company.say(1, "early", "2026-01-01 10:00:00")
    assert [s["error"] for s in connectors.ensure(project)] == ["", ""]
    assert told() == [(1, *["early"] * len(KINDS))]
    company.say(1, "changed", "2026-01-02 10:00:00")
    company.say(2, "new", "2026-01-03 10:00:00")
    for name in SERVERS:
        os.kill(int(supervise.states(shared())[name]["pid"]), signal.SIGKILL)
    assert told() == [(1, *["changed"] * len(KINDS)), (2, *["new"] * len(KINDS))]
    for kind in ("postgresql", "mariadb"):
        assert [c.verdict for c in audit(project, project.source(f"every_{kind}"))] == ["proven"]
    assert [c.verdict for c in listing.audit(project, project.source("every_cassandra"))] == ["proven"]
