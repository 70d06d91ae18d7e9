"""Readiness probes: each asks its server something real and raises until it is answered."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 5.0  # how long one try may take


class NotReady(Exception):
    """The server answered, but not yet what it must."""


def http(url: str) -> Any:
    """The JSON answer of a GET; raises OSError when there is none."""
    return json.loads(text(url) or "null")


def text(url: str) -> str:
    """The text that a GET answers with; raises OSError when there is none."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    with direct.open(url, timeout=SECONDS) as answer:
        return answer.read().decode()


def answers(url: str) -> None:
    """A GET is answered."""
    text(url)


def postgres(url: str) -> None:
    """A query on a PostgreSQL server, which may not have our databases yet."""
    import psycopg

    with psycopg.connect(url, connect_timeout=2, dbname="postgres") as connection:
        connection.execute("SELECT 1")


def mariadb(port: int, user: str, password: str) -> None:
    """A query on a MariaDB server."""
    import pymysql

    connection = pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, connect_timeout=2)
    try:
        connection.cursor().execute("SELECT 1")
    finally:
        connection.close()


def cassandra(port: int, *users: tuple[str, str]) -> None:
    """A Cassandra node lets one of the users in, each with its password."""
    for last, user in enumerate(users, 1):
        try:
            with cassandra_session(port, user) as session:
                session.execute("SELECT key FROM system.local")
            return
        except NotReady:
            if last == len(users):
                raise


@contextmanager
def cassandra_session(port: int, user: tuple[str, str]) -> Iterator[Any]:
    """A session on a Cassandra node of this machine; raises NotReady when it does not let the user in."""
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import Cluster, NoHostAvailable

    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # its warnings would only be noise while it starts
    cluster = Cluster(
        ["127.0.0.1"], port, auth_provider=PlainTextAuthProvider(*user), protocol_version=5, executor_threads=1,
        connect_timeout=int(SECONDS), schema_metadata_enabled=False, token_metadata_enabled=False,
    )  # fmt: skip
    try:
        yield cluster.connect()
    except NoHostAvailable as error:
        reasons = [str(found) for found in error.errors.values()] if isinstance(error.errors, dict) else []
        raise NotReady("; ".join(reasons) or str(error)) from error
    finally:
        cluster.shutdown()


def neo4j(port: int, user: str, password: str) -> None:
    """A query on a Neo4j server, whose user is made only when it has started."""
    from neo4j import GraphDatabase

    with GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=(user, password), connection_timeout=2) as driver:
        with driver.session() as session:
            session.run("RETURN 1").consume()


def bus(address: str) -> None:
    """The broker lists its topics."""
    from confluent_kafka.admin import AdminClient

    # Its own log lines about refused connections would only be noise while it starts.
    AdminClient({"bootstrap.servers": address, "log_level": 0, "socket.connection.setup.timeout.ms": 2000}).list_topics(
        timeout=SECONDS
    )


def group(client: dict[str, str], name: str) -> None:
    """A consumer group has a member that is through its first rebalance."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({**client, "log_level": 0})
    described = admin.describe_consumer_groups([name], request_timeout=SECONDS)[name].result()
    if not described.members:
        raise NotReady(f"consumer group {name} has no member yet")


def task_managers(rest: str, number: int) -> None:
    """The JobManager knows so many TaskManagers."""
    there = http(f"{rest}/overview")["taskmanagers"]
    if there < number:
        raise NotReady(f"{there} of {number} TaskManagers have registered")


def spark_workers(master: str, number: int) -> None:
    """The master, by the address of its page, has so many workers."""
    there = http(f"{master}/json/")["aliveworkers"]
    if there < number:
        raise NotReady(f"{there} of {number} workers have registered")


def spark(address: str) -> None:
    """The Connect server says its version: the session's engine is up, not only its port."""
    import grpc
    from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc

    request = base_pb2.AnalyzePlanRequest(
        session_id="00000000-0000-4000-8000-000000000000", user_context=base_pb2.UserContext(user_id="headrace")
    )
    request.spark_version.SetInParent()
    with grpc.insecure_channel(address.removeprefix("sc://")) as channel:
        base_pb2_grpc.SparkConnectServiceStub(channel).AnalyzePlan(request, timeout=30, wait_for_ready=False)


def airflow(address: str, component: str) -> None:
    """Airflow's own health report says that the component works."""
    health = http(f"{address}/api/v2/monitor/health")
    state = health.get(component, {}).get("status")
    if state != "healthy":
        raise NotReady(f"Airflow's {component} is {state or 'not there yet'}")
