"""Three brokers, two TaskManagers, a Spark cluster of two workers, two landing workers: one of each is lost under load.

The same as `make chaos CLUSTER=1` does with more of them: after each loss source, lake and views must be equal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import psutil
import pytest
from confluent_kafka.admin import AdminClient

from headrace.ingest import worker
from headrace.local import platform, supervise
from tests.chaos.__main__ import trial
from tests.chaos.cells import Cell
from tests.chaos.world import CLUSTER, World, made
from tests.engine.conftest import stop_all

STEADY = 1.0  # seconds in which an alert must have come as before
LOST = ("bus-2", "flink-taskmanager", "landing-2", "spark-worker-1")


@pytest.fixture(scope="module")
def world(work_folder) -> Iterator[World]:
    stop_all()
    made_ = World(made(work_folder / "cluster", cluster=True))
    try:
        made_.up()
        yield made_
    finally:
        made_.close()


def test_the_parts_share_the_work(world: World):
    project, admin = world.project, AdminClient({"bootstrap.servers": world.project.addresses.bus})
    topic = admin.list_topics(timeout=10).topics[project.table("payments").topic]
    assert [sorted(p.replicas) for p in topic.partitions.values()] == [[1, 2, 3]] * project.settings.partitions
    assert [len(p.isrs) for p in topic.partitions.values()] == [3] * project.settings.partitions
    group = admin.describe_consumer_groups([worker.group(project)])[worker.group(project)].result()
    assert [len(member.assignment.topic_partitions) > 0 for member in group.members] == [True] * 2
    flink = httpx.get(f"{project.addresses.flink_rest}/taskmanagers").json()["taskmanagers"]
    assert len(flink) == CLUSTER["task_managers"]
    assert {tm["slotsNumber"] - tm["freeSlots"] for tm in flink} == {2}  # two jobs of parallelism two, spread
    page = f"http://127.0.0.1:{project.addresses.port('spark-master-ui')}/json/"
    assert httpx.get(page).json()["coresused"] == CLUSTER["spark_workers"]


@pytest.mark.parametrize("server", LOST)
def test_one_is_lost_and_nothing_else(world: World, server: str):
    found = trial(world, Cell(server, "kill", "any"), STEADY)
    assert found["wrong"] == []
    print(f"{server}: an alert took at most {found['seconds']:.1f} s")
    assert found["seconds"] < 15


def test_the_whole_machine_is_lost_and_up_brings_it_back(world: World):
    world.begin()
    try:
        time.sleep(5)  # rows are in every stage: there is no state to wait for
        supervisor = psutil.Process(supervise.call(world.project).getPID())
        for process in [supervisor, *supervisor.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        began = time.monotonic()
        platform.up(world.project)
        print(
            f"up again after {time.monotonic() - began:.0f} s; {world.recovered(began, time.monotonic(), STEADY):.0f} s"
        )
    finally:
        world.end()
    assert world.wrong() == []


def test_another_number_of_brokers_is_refused(world: World):
    file = world.project.root / "headrace.yml"
    text = file.read_text()
    try:
        file.write_text(text.replace("brokers: 3", "brokers: 1"))
        platform.down(world.project)
        with pytest.raises(platform.HeadraceError, match="the bus was made with brokers: 3"):
            platform.up(made(world.project.root), {"bus"})
    finally:
        platform.down(made(world.project.root))
        file.write_text(text)
