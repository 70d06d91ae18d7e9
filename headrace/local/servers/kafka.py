"""The bus: one Kafka node that is broker and controller, or three of them."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local import archive, probe
from headrace.local.install import JARS
from headrace.local.server import Server, java, properties
from headrace.project import Project

PATH = f"{JARS}/kafka/*"


LOGGING = """rootLogger.level = {level}
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{{yyyy-MM-dd HH:mm:ss,SSS}} %-5p %c{{1}} - %m%n
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = WARN
logger.chunks.name = io.debezium.pipeline.source.snapshot.incremental.AbstractIncrementalSnapshotChangeEventSource
logger.chunks.level = WARN
logger.clients.name = org.apache.kafka.clients
logger.clients.level = WARN
"""


def logging(project: Project, name: str, level: str) -> tuple[Path, str, str]:
    """A log configuration for a server of Kafka's: its file, its text, and the JVM's option for it."""
    path = project.state / "run" / f"{name}-log4j2.properties"
    return path, LOGGING.format(level=level), f"-Dlog4j2.configurationFile={path}"


def servers(project: Project) -> list[Server]:
    """With three nodes a record is there once two have it: each may be lost alone, and is caught up when it is back."""
    return [_server(project, name, number) for number, name in enumerate(project.settings.local.nodes, 1)]


def _server(project: Project, name: str, number: int) -> Server:
    """Topics are only created by those who know their settings, never by a typing mistake in a name."""
    a, nodes = project.addresses, project.settings.local.nodes
    data, config = project.state / "data" / name, project.state / "run" / f"{name}.properties"
    bus, controller = f"127.0.0.1:{a.port(name)}", f"127.0.0.1:{a.port(f'{name}-controller')}"
    voters = (f"{n}@127.0.0.1:{a.port(f'{node}-controller')}" for n, node in enumerate(nodes, 1))
    replicas, in_sync = len(nodes), len(nodes) // 2 + 1
    values = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(voters),
        "listeners": f"PLAINTEXT://{bus},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{bus}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "log.message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 4,
        "offsets.retention.minutes": 60 * 24 * 60,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": 0,
        # One that was killed is let in again when its session is over: after nine by default. With four, a broker on
        # a busy machine missed them while it lived, and its clients had to look for their partitions' leader again.
        "broker.session.timeout.ms": 6_000,
        "broker.heartbeat.interval.ms": 1_000,
        # Sizes for one machine: the defaults would take 128 MB of heap for the cleaner and 20 MB of disk per partition.
        "log.cleaner.dedupe.buffer.size": 8_388_608,
        "log.index.size.max.bytes": 2_097_152,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    log_file, log_text, log_option = logging(project, name, "INFO")
    return Server(
        name=name,
        part="bus",
        command=java(log_option, "kafka.Kafka", str(config), heap=512, start=160, path=PATH, archive=True),
        files={config: properties(values), log_file: log_text},
        environment={"LOG_DIR": str(project.state / "logs")},
        ports={port: a.port(port) for port in (name, f"{name}-controller")},
        address=bus,
        memory="0.5 GB",
        archive=archive.path("bus", [JARS / "kafka"]),
        prepare=lambda: _format(project, data, config),
        ready=lambda: probe.bus(bus),
    )


def _format(project: Project, data: Path, config: Path) -> None:
    made, nodes = project.state / "data" / "bus-nodes", str(len(project.settings.local.nodes))
    if (data / "meta.properties").exists():
        before = made.read_text() if made.exists() else "1"
        if before != nodes:  # new nodes would outvote those that know the topics
            message = f"the bus was made with brokers: {before}, and headrace.yml says brokers: {nodes}"
            hint = f"local: {{brokers: {before}}} in headrace.yml, or `headrace down` and remove .headrace and the lake"
            raise HeadraceError(message, hint=hint)
        return
    shutil.rmtree(data, ignore_errors=True)
    made.write_text(nodes)
    # The same for all nodes of a project, and different from its neighbours'.
    cluster = base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, str(project.root)).bytes).decode().rstrip("=")
    cluster = cluster if not cluster.startswith("-") else f"h{cluster[1:]}"
    tool = ("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool")
    command = java(*tool, "format", "-t", cluster, "-c", str(config), heap=256, path=PATH)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"TZ": "UTC"})
    if done.returncode:
        raise HeadraceError(
            f"Kafka can't format its data folder {data}",
            hint="\n".join((done.stdout + done.stderr).strip().splitlines()[-6:]),
        )
