"""Cassandra: one node per local source of that kind. What it acknowledged is in its log on disk."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from headrace.errors import HeadraceError
from headrace.local import archive, probe
from headrace.local.install import JARS
from headrace.local.server import FEW_ARENAS, NICE, SMALL, Server, java
from headrace.project import Addresses, Project, Source

HOME = JARS / "cassandra"
MAIN = "org.apache.cassandra.service.CassandraDaemon"
_JAVA = ("17", "11")  # what Cassandra 5.0 knows
_FIRST = "cassandra"  # user and password of a new node
# What Java 17 keeps to itself, and Cassandra and its libraries reach into.
_EXPORTED = (
    "java.base/jdk.internal.misc", "java.base/java.lang.ref", "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server", "java.sql/java.sql", "jdk.unsupported/sun.misc",
    "jdk.compiler/com.sun.tools.javac.file", "jdk.attach/sun.tools.attach",
)  # fmt: skip
_OPENED = (
    "java.base/java.lang", "java.base/java.lang.module", "java.base/java.lang.reflect", "java.base/java.io",
    "java.base/java.nio", "java.base/java.util", "java.base/sun.nio.ch", "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math", "java.base/jdk.internal.module", "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect", "java.base/jdk.internal.util.jar", "jdk.compiler/com.sun.tools.javac",
    "jdk.management/com.sun.management.internal",
)  # fmt: skip
_LOGGING = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5level %logger{30} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"""


def source(project: Project, of: Source) -> Server:
    """A service's own node. The user and the keyspace are made once it answers."""
    a = project.addresses
    name, port, peers = f"source-{of.name}", a.source_port(of.name), _peers(a, of)
    config, logging = project.state / "run" / f"{name}.yaml", project.state / "run" / f"{name}-log.xml"
    data = project.state / "data" / name
    password = unquote(urlsplit(a.source(of)).password or "")
    options = [word for m in _EXPORTED for word in ("--add-exports", f"{m}=ALL-UNNAMED")]
    options += [word for m in _OPENED for word in ("--add-opens", f"{m}=ALL-UNNAMED")]
    options += [
        *SMALL,
        "-Djdk.attach.allowAttachSelf=true",
        "-Dcassandra-foreground=yes",
        f"-Dcassandra.config={config.as_uri()}",
        f"-Dcassandra.storagedir={data}",
        f"-Dcassandra.logdir={data}",
        f"-Dlogback.configurationFile={logging}",
        # A node that is alone has nobody to wait for.
        "-Dcassandra.superuser_setup_delay_ms=0",
        "-Dcassandra.ring_delay_ms=0",
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    ]
    return Server(
        name=name,
        part=f"source:{of.name}",
        command=java(*options, MAIN, heap=320, start=128, path=f"{HOME}/*", archive=True),
        files={config: json.dumps(_settings(data, port, peers), indent=1), logging: _LOGGING},
        environment=FEW_ARENAS,
        ports={f"source:{of.name}": port, f"source:{of.name} (peers)": peers},
        address=f"127.0.0.1:{port}",
        nice=NICE,  # it is only pulled
        hurried=45,  # after a crash its service waits for it
        memory="0.5 GB",
        archive=archive.path("cassandra", [HOME]),
        prepare=lambda: _fit(of),
        ready=lambda: probe.cassandra(port, ("headrace", password), (_FIRST, _FIRST)),
        provision=lambda: _provision(port, password, of.database),
    )


def _fit(of: Source) -> None:
    """Raises HeadraceError at the source when this machine's Java is one that Cassandra does not run on."""
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except FileNotFoundError:
        return  # no server of ours starts then, and the first of them says so
    found = re.search(r'version "(\d+)', said)
    if found and found[1] not in _JAVA:
        message = f"a local Cassandra runs on Java {' or '.join(_JAVA)}, the `java` here is {found[1]}"
        raise HeadraceError(message, place=of.place, hint="put another one first in PATH, or say connection.url")


def _peers(a: Addresses, of: Source) -> int:
    """The port for other nodes, which Cassandra wants even alone: counted from the end of the sources' ports."""
    return a.port("source") + 19 - sorted(s.name for s in a.sources if s.local).index(of.name)


def _settings(data: Path, port: int, peers: int) -> dict[str, Any]:
    seeds = {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider"}
    return {
        "cluster_name": "headrace",
        "num_tokens": 1,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch": "SimpleSnitch",
        "seed_provider": [seeds | {"parameters": [{"seeds": f"127.0.0.1:{peers}"}]}],
        "listen_address": "127.0.0.1",
        "storage_port": peers,
        "rpc_address": "127.0.0.1",
        "native_transport_port": port,
        "authenticator": "PasswordAuthenticator",
        "authorizer": "CassandraAuthorizer",
        "role_manager": "CassandraRoleManager",
        "data_file_directories": [f"{data}/data"],
        "commitlog_directory": f"{data}/commitlog",
        "saved_caches_directory": f"{data}/saved_caches",
        "hints_directory": f"{data}/hints",
        "cdc_raw_directory": f"{data}/cdc_raw",
        # A write is answered when it is on disk: kill -9 takes nothing that a service was told is written.
        "commitlog_sync": "group",
        "commitlog_sync_group_window": "2ms",
        "commitlog_total_space": "256MiB",
        "memtable_heap_space": "64MiB",
        # By default a fortieth of the heap: a value of 10 MB would never be taken.
        "native_transport_max_request_data_in_flight": "48MiB",
        "native_transport_max_request_data_in_flight_per_ip": "32MiB",
        "file_cache_size": "32MiB",
        "concurrent_reads": 8,
        "concurrent_writes": 8,
        "auto_bootstrap": False,
        "auto_snapshot": False,  # a dropped table is dropped
        # The machine may be busy with the rest of the platform; a walk over a table would rather wait.
        "range_request_timeout": "60s",
        "read_request_timeout": "30s",
        "write_request_timeout": "30s",
    }


def _provision(port: int, password: str, keyspace: str) -> None:
    """The user headrace in place of the one whose password everybody knows, and the keyspace."""
    secret = password.replace("'", "''")
    try:
        with probe.cassandra_session(port, (_FIRST, _FIRST)) as session:
            session.execute(
                f"CREATE ROLE IF NOT EXISTS headrace WITH PASSWORD = '{secret}' AND SUPERUSER = true AND LOGIN = true"
            )
    except probe.NotReady:  # it was done before
        pass
    with probe.cassandra_session(port, ("headrace", password)) as session:
        session.execute(f"DROP ROLE IF EXISTS {_FIRST}")
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        session.execute(f'CREATE KEYSPACE IF NOT EXISTS "{keyspace}" WITH replication = {replication}')
