"""The lake on S3 and on HDFS: the same project by one setting, and no commit is lost when many write at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from headrace.batch.run import run
from headrace.batch.session import session
from headrace.errors import HeadraceError
from headrace.lake import landing, paths, reading, store
from headrace.lake.commits import history
from headrace.local import unpack
from headrace.local.install import JARS
from headrace.local.servers.storage import LOG_STORE
from headrace.orchestrate.positions import Lake
from headrace.project import Project
from headrace.serve.reading import query
from tests.engine.stores import Gateway, Hdfs, Proxy

from .conftest import contract, project_files

FILES = project_files(
    {"parcels": contract("parcels", "id integer key;town string;weight integer")},
    {"jobs/batch/weights.sql": "SELECT town, SUM(weight) AS weight, COUNT(*) AS n FROM parcels GROUP BY town\n"},
)
WRITERS, EACH = 3, 8
# Appends rows one by one as a landing worker does: from the table's position, again when somebody was quicker.
WRITER = """
import sys
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
for _ in range(int(sys.argv[2])):
    while True:
        table = DeltaTable(sys.argv[1])
        at = table.transaction_version("app") or 0
        said = CommitProperties(app_transactions=[Transaction("app", at + 1)])
        try:
            write_deltalake(table, pa.table({"n": [at]}), mode="append", commit_properties=said)
            break
        except CommitFailedError:
            pass
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory, until) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("s3"), "lake")
    before = dict(os.environ)
    os.environ.update(made.environment)  # as for every tool that works on S3
    made.start()
    until(made.answers, 60, "the store answers")
    yield made
    made.kill()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory, until) -> Iterator[Hdfs]:
    made = Hdfs(tmp_path_factory.mktemp("hdfs"))
    made.start()
    until(made.answers, 90, "the NameNode answers")
    yield made
    made.kill()


@pytest.fixture(scope="module")
def ground(s3, make_project, platform) -> Project:
    """Spark and PostgreSQL of a project whose lake is on S3."""
    return platform(make_project(FILES, lake="s3://lake/headrace"), {"postgres", "spark"})


@pytest.fixture(scope="module", params=("s3", "hdfs"))
def project(request, ground, make_project) -> Project:
    if request.param == "s3":
        return make_project(FILES, on=ground, lake="s3://lake/company")
    return make_project(FILES, on=ground, lake=f"{request.getfixturevalue('hdfs').address}/lake")


def parcel(id: int, town: str, weight: int, op: str = "c") -> dict[str, object]:
    image = {"id": id, "town": town, "weight": weight}
    return {"op": op, "key": {"id": id}, "partition": id % 2, "before" if op == "d" else "after": image}


def test_landed_computed_served_and_asked(project: Project, land: Callable[..., None]):
    lake = Lake(project)
    land(project, "parcels", [parcel(1, "Bern", 3), parcel(2, "Bern", 4), parcel(3, "Thun", 5)])
    run(project, project.job("weights"))
    assert rows(project) == {("Bern", 7, 2), ("Thun", 5, 1)}
    land(project, "parcels", [parcel(1, "Thun", 6, "u"), parcel(2, "Bern", 4, "d")])
    run(project, project.job("weights"))
    assert rows(project) == {("Thun", 11, 2)}
    assert landing.positions(project, "parcels") == lake.landed("parcels") == {0: 2, 1: 3}
    assert reading.query(project, "SELECT COUNT(*) FROM landing.parcels")[1] == [(5,)]
    assert len(history(paths.landing(project, "parcels"))) == 3
    with pytest.raises(landing.Stale):
        again(project)


def test_a_table_is_compacted_and_older_versions_stay_readable(project: Project, land: Callable[..., None]):
    address = paths.landing(project, "parcels")
    before = DeltaTable(address).version()
    there = DeltaTable(address).to_pyarrow_table().num_rows
    land(project, "parcels", [parcel(8, "Biel", 1)])
    assert landing.compact(address)["files_before"] > 1
    assert DeltaTable(address).to_pyarrow_table().num_rows == there + 1
    assert DeltaTable(address, version=before).to_pyarrow_table().num_rows == there


def test_no_commit_is_lost_when_several_processes_and_spark_write_one_table(project: Project):
    address = f"{project.addresses.lake}/raced"
    spark = session(project)
    spark.sql(f"CREATE TABLE delta.`{address}` (n BIGINT) USING delta")
    command = [sys.executable, "-c", WRITER, address, str(EACH)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(WRITERS)]
    for _ in range(EACH):
        spark.sql(f"INSERT INTO delta.`{address}` VALUES (-1)").collect()
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
    found = sorted(DeltaTable(address).to_pyarrow_table()["n"].to_pylist())
    assert found == [-1] * EACH + list(range(WRITERS * EACH))


def test_two_drivers_of_spark_never_both_commit_a_version(s3: Gateway, ground: Project, tmp_path):
    """io.delta.storage.S3SingleDriverLogStore in the place of ours lets some versions be written twice."""
    path = ":".join(f"{folder}/*" for folder in (JARS / "s3", JARS / "spark", unpack.SPARK))
    java = ["java", "-Xmx256m", "-cp", path, str(Path(__file__).with_name("Race.java")), LOG_STORE]
    folder = f"s3://lake/{tmp_path.name}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*java, folder, name], **pipes) for name in ("one", "two")]  # type: ignore[call-overload]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    begin = int(time.time() * 1000) + 300
    for process in both:
        process.stdin.write(f"{begin}\n")
        process.stdin.close()
    won = [process.stdout.read().split() for process in both]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(map(int, [*won[0], *won[1]])) == list(range(40))
    assert won[0], "the other was always first: they did not race"
    assert won[1], "the other was always first: they did not race"


def test_a_store_that_lets_two_writers_create_one_object_is_refused(s3: Gateway, ground, tmp_path, until, monkeypatch):
    store.check(ground)
    proxy = Proxy(tmp_path, "lake")
    proxy.start()
    try:
        until(proxy.answers, 60, "the store answers")
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.environment["AWS_ENDPOINT_URL"])
        with pytest.raises(HeadraceError, match=r"of 8 writers at once were told that they had created one object"):
            store.check(ground)
    finally:
        proxy.kill()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", "can't be written: No user exists"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "can't be written: .*error sending request"),
    ],
)
def test_a_store_that_does_not_let_us_in_is_named(ground, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(HeadraceError, match=said) as raised:
        store.check(ground)
    assert "AWS_SECRET_ACCESS_KEY" in raised.value.problems[0].hint
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(raised.value)


def rows(project: Project) -> set[tuple[object, ...]]:
    return set(query(project, "SELECT town, weight, n FROM batch.weights").rows)


def again(project: Project) -> None:
    """The first batch once more, as a worker that lost its partition would."""
    handle = landing.open_landing(project, "parcels", "topic", 2)
    landing.append(handle, handle.to_pyarrow_dataset().head(1), "topic", {0: (0, 1)})
