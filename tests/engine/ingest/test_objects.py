"""Objects of a bucket, pulled from a real store with the API of S3."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import S3Store

from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.project import Project, adding, inspect
from headrace.project.propose import propose
from headrace.pulls.kinds import PULLED
from headrace.pulls.pull import pull
from headrace.sources.ask import ask
from tests.engine.ingest.test_pulls import count, rows
from tests.engine.stores import free_port, jars

PRICES = {"dish": "string!", "price": "decimal(6,2)!", "valid_from": "date!"}
HEAD = "dish,price,valid_from\n"


class Server:
    """The store as a process of its own, on loopback; what it keeps survives a kill."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, f"http://127.0.0.1:{free_port()}"
        (folder / "data" / "lists").mkdir(parents=True)
        settings = {
            "s3proxy.authorization": "aws-v2-or-v4", "s3proxy.endpoint": self.address, "s3proxy.identity": "reader",
            "s3proxy.credential": "p/ss", "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": folder / "data",
        }  # fmt: skip
        (folder / "s3.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            java = ["java", "-Xmx128m", "-cp", f"{jars('objects')}/*", "org.gaul.s3proxy.Main"]
            command = [*java, "--properties", str(self.folder / "s3.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def bucket(self) -> S3Store:
        return S3Store(
            "lists", endpoint=self.address, access_key_id="reader", secret_access_key="p/ss",
            client_options={"allow_http": True},
        )  # fmt: skip

    def put(self, name: str, content: str | bytes) -> None:
        obstore.put(self.bucket, name, content.encode() if isinstance(content, str) else content)


@pytest.fixture(scope="module")
def server(tmp_path_factory, until) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("store"))
    made.start()
    until(lambda: made.put("here", "") is None, 60, "the store answers")
    yield made
    made.kill()


@pytest.fixture(scope="module")
def project(shared, make_project, make_contract, server) -> Project:
    base = shared("bus")
    os.environ |= {"OBJECTS_SECRET": "p/ss", "OBJECTS_WRONG": "not-it"}
    names = ("obj_prices", "obj_deep", "obj_refused", "obj_nowhere")
    files = {f"schemas/{name}.yaml": make_contract(name, PRICES, "dish") for name in names}
    for name, key, bucket, pattern, format in (
        ("obj_prices", "OBJECTS_SECRET", "lists/menu", "*.csv", "csv"),
        ("obj_deep", "OBJECTS_SECRET", "lists", "archive/**/*.parquet", "parquet"),
        ("obj_refused", "OBJECTS_WRONG", "lists", "*.csv", "csv"),
        ("obj_nowhere", "OBJECTS_SECRET", "nowhere", "*.csv", "csv"),
    ):
        connection = f"{{url: 's3://reader:${{{key}}}@{bucket}', endpoint: '{server.address}'}}"
        tables = f"{{{name}: {{from: '{pattern}', format: {format}}}}}"
        files[f"lake/sources/{name}_s3.yml"] = f"kind: files\nconnection: {connection}\ntables: {tables}\n"
    made = make_project(files, on=base)
    assert not made.problems, made.problems
    topics.ensure(made)
    return made


def test_each_object_is_pulled_once_and_a_changed_one_whole(project, server, on_bus) -> None:
    server.put("menu/2026-01-02.csv", f"{HEAD}soup,4.50,2026-01-02\ncake,3.00,2026-01-02\n")
    server.put("menu/2026-01-01.csv", f"{HEAD}soup,4.00,2026-01-01\n")
    server.put("menu/2026-01-03.csv.tmp", f"{HEAD}soup,9.99,2026-01-03\n")
    server.put("menu/old/2025.csv", f"{HEAD}soup,1.00,2025-01-01\n")
    server.put("menu/wrong.csv", "a,b\n1,2\n")
    source = project.source("obj_prices_s3")
    result = pull(project, source)
    assert result["tables"] == {"obj_prices": 3}
    assert result["skipped"] == [
        "lists/menu/wrong.csv: the first line must name the columns; it lacks dish, price, valid_from"
    ]
    assert count(project, source.name) == 0
    server.put("menu/2026-01-02.csv", f"{HEAD}soup,4.70,2026-01-02\n")
    server.put("menu/2026-01-01.csv", f"{HEAD}soup,4.00,2026-01-01\n")  # the same content: the same tag
    assert count(project, source.name) == 1
    prices = [row["price"] for row in rows(on_bus(project, "obj_prices_s3.obj_prices"))]
    assert sorted(prices) == ["3.00", "4.00", "4.50", "4.70"]


def test_a_pattern_reaches_into_folders(project, server, tmp_path) -> None:
    for day in (1, 2):
        pq.write_table(
            pa.table({"dish": ["tea"], "price": ["2.00"], "valid_from": [f"2026-01-0{day}"]}), tmp_path / "a"
        )
        server.put(f"archive/2026/0{day}/a.parquet", (tmp_path / "a").read_bytes())
    assert count(project, "obj_deep_s3") == 2
    assert count(project, "obj_deep_s3") == 0


@pytest.mark.parametrize(("name", "said"), [("refused", "refuses us"), ("nowhere", "is not there")])
def test_who_may_not_or_can_not_is_told_at_the_sources_file(project, name: str, said: str) -> None:
    source = project.source(f"obj_{name}_s3")
    for ask_it in (lambda: pull(project, source), lambda: PULLED[source.kind].probe(project, source)):
        with pytest.raises(HeadraceError, match=said) as error:
            ask_it()
        assert f"obj_{name}_s3.yml:1" in str(error.value)
        assert "not-it" not in str(error.value) and "p/ss" not in str(error.value)


def test_a_store_that_is_killed_and_comes_back(project, server, until) -> None:
    server.put("menu/2026-01-04.csv", f"{HEAD}pie,5.00,2026-01-04\n")
    server.kill()
    with pytest.raises(HeadraceError, match="can't be reached"):
        pull(project, project.source("obj_prices_s3"))
    server.start()
    until(lambda: server.put("here", "") is None, 60, "the store answers")
    assert count(project, "obj_prices_s3") == 1


def test_a_source_is_added_from_what_is_in_the_bucket(shared, make_project, server) -> None:
    project = make_project({}, on=shared("bus"))
    server.put("added/prices-1.csv", f"{HEAD}soup,4.50,2026-01-02\n")
    server.put("added/prices-2.csv", f"{HEAD}tea,2.50,2026-01-03\n")
    server.put("added/open.jsonl", '{"id": 1, "open": true}\n{"id": 2, "open": false}\n')
    url = "s3://reader:${OBJECTS_SECRET}@lists/added"
    found = ask(project, "shelf", url, endpoint=server.address)
    proposal = propose("shelf", found)
    assert set(proposal.tables) == {"prices", "open"}
    adding.write(project.root, proposal.files)
    project, problems = inspect(project.root)
    assert problems == ()
    source = project.source("shelf")
    assert (source.url, source.endpoint) == (url, server.address)
    topics.ensure(project)
    assert pull(project, source)["tables"] == {"prices": 2, "open": 2}
    with pytest.raises(HeadraceError, match="nothing right below"):
        ask(project, "empty", f"{url}/none", endpoint=server.address)
