"""Kafka Connect with Debezium: one distributed worker, sources exactly once."""

from __future__ import annotations

from headrace.local import archive, probe
from headrace.local.install import JARS
from headrace.local.server import Server, java, properties
from headrace.local.servers import kafka
from headrace.project import Project, bus_security

MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"


def server(project: Project) -> Server:
    """Connector configurations say ${env:NAME}: their secrets are in this process's environment and stored nowhere."""
    a = project.addresses
    config = project.state / "run" / "connect.properties"
    # The worker's own clients, and those of its connectors, which it gives what stands behind their prefix.
    secured = dict(a.bus_java(late=True))
    for part in ("producer.", "consumer.", "admin."):
        secured |= {n: v for n, v in a.bus_java(prefix=part, late=True).items() if not n.endswith("bootstrap.servers")}
    values: dict[str, object] = {
        **secured,
        "group.id": "headrace-connect",
        "listeners": f"http://127.0.0.1:{a.port('connect')}",
        "rest.advertised.host.name": "127.0.0.1",
        "plugin.path": f"{JARS}/connect",
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "exactly.once.source.support": "enabled",
        "connector.client.config.override.policy": "All",
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        "producer.compression.type": "lz4",
        "offset.storage.partitions": 1,
        "status.storage.partitions": 1,
        # A worker that was killed is missed for as long as its session; on a busy machine a live one must not be.
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 2000,
        "rebalance.timeout.ms": 60000,
        "scheduled.rebalance.max.delay.ms": 0,  # what a lost worker did is done by another, or by itself, at once
    }
    for topic in ("offset", "config", "status"):
        values[f"{topic}.storage.topic"] = f"headrace.connect-{topic}s"
        values[f"{topic}.storage.replication.factor"] = project.settings.replicas
    log_file, log_text, log_option = kafka.logging(project, "connect", "INFO")
    return Server(
        name="connect",
        part="connect",
        command=java(log_option, MAIN, str(config), heap=640, start=128, path=f"{JARS}/kafka/*", archive=True),
        files={config: properties(values), log_file: log_text},
        environment=_secrets(project),
        ports={"connect": a.port("connect")},
        needs=project.settings.local.nodes,
        address=a.connect,
        memory="0.7 GB",
        archive=archive.path("connect", [JARS / "kafka", JARS / "connect"]),
        ready=lambda: _ready(a.connect),
    )


def _ready(address: str) -> None:
    probe.http(f"{address}/connectors")  # answered only by a worker that has joined its group


def _secrets(project: Project) -> dict[str, str]:
    """<SOURCE>_PASSWORD of local sources, and every ${NAME} that an address of a source or the bus mentions."""
    import re

    from headrace.errors import HeadraceError

    names = {f"{s.name.upper()}_PASSWORD" for s in project.sources if s.local and s.mode == "cdc"}
    names |= {name for s in project.sources for name in re.findall(r"\$\{(\w+)\}", s.url)}
    names |= bus_security.secrets(project.settings.bus_security)
    found = {}
    for name in sorted(names):
        try:
            found[name] = project.addresses.secret(name)
        except HeadraceError:
            continue  # its own connector will fail and say so; the other sources go on
    return found
