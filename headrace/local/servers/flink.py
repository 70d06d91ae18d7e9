"""Flink: JobManager with its memory of jobs, TaskManager and the SQL Gateway, from one configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headrace.local import archive, probe
from headrace.local.install import JARS, environment
from headrace.local.server import LATE_C2, QUIET, TOKEN, Server
from headrace.local.servers import zookeeper
from headrace.project import Project

HOME = JARS / "flink-home"
# For JVMs that run each query's code once: the optimising compiler would only cost time and memory.
_LIGHT = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
_METRICS = "metrics.internal.query-service.port"
SLOTS = 16  # a job takes as many as its parallelism

_LOGGING = """rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
logger.coordinator.name = org.apache.flink.runtime.checkpoint.CheckpointCoordinator
logger.coordinator.level = WARN
"""


def servers(project: Project) -> list[Server]:
    """The servers; the configuration is also what `flink run` needs in FLINK_CONF_DIR."""
    a = project.addresses
    folder = conf_dir(project)
    files = {
        folder / "config.yaml": _config(project),
        folder / "log4j-console.properties": _LOGGING,
        folder / "log4j-cli.properties": _LOGGING,
    }
    environment = {
        "FLINK_CONF_DIR": str(folder),
        "FLINK_LOG_DIR": str(project.state / "logs"),
        "FLINK_PID_DIR": str(folder / "pids"),
        "JVM_ARGS": f"{TOKEN} {QUIET}",
        "HOSTNAME": "localhost",
    }
    gateway = a.port("flink-gateway")
    ports = {name: a.port(name) for name in ("flink-rest", "flink-rpc", "flink-blob", "flink-metrics")}
    shared: dict[str, Any] = {
        "part": "flink",
        "environment": environment,
        "files": files,
        "folder": project.state / "flink" / "temporary",
    }
    # Without its own bind-port the gateway would take the JobManager's.
    endpoint = {"address": "127.0.0.1", "bind-address": "127.0.0.1", "port": gateway, "bind-port": gateway}
    remembered = zookeeper.settings(project)
    return [
        zookeeper.server(project, shared),
        Server(
            name="flink-jobmanager",
            command=(
                str(HOME / "bin" / "jobmanager.sh"),
                "start-foreground",
                *_dynamic({_METRICS: ports["flink-metrics"], **remembered}),
            ),
            ports=ports,
            needs=(zookeeper.NAME,),
            address=a.flink_rest,
            memory="0.6 GB",
            archive=archive.path("flink-jobmanager", [HOME]),
            ready=lambda: probe.http(f"{a.flink_rest}/overview"),
            **shared,
        ),
        *(
            _task_manager(project, number, shared, remembered)
            for number in range(1, project.settings.local.task_managers + 1)
        ),
        Server(
            name="flink-gateway",
            command=(
                str(HOME / "bin" / "sql-gateway.sh"),
                "start-foreground",
                *(f"-Dsql-gateway.endpoint.rest.{k}={v}" for k, v in endpoint.items()),
            ),
            ports={"flink-gateway": gateway},
            address=a.flink_gateway,
            memory="0.4 GB",
            archive=archive.path("flink-gateway", [HOME]),
            ready=lambda: probe.http(f"{a.flink_gateway}/v1/info"),
            **shared,
        ),
    ]


def _dynamic(settings: dict[str, object]) -> Iterator[str]:
    """Words of a command that set something for this server only."""
    for name, value in settings.items():
        yield from ("-D", f"{name}={value}")


def _task_manager(project: Project, number: int, shared: dict[str, Any], remembered: dict[str, object]) -> Server:
    """The first listens where the ports of the project are; others take any free ones and tell the JobManager."""
    a, known = project.addresses, ("flink-taskmanager", "flink-data", "flink-taskmanager-metrics")
    ports = {name: a.port(name) for name in known} if number == 1 else {}
    settings = ("taskmanager.rpc.port", "taskmanager.data.port", _METRICS)
    options = {setting: ports.get(name, 0) for setting, name in zip(settings, known, strict=True)}
    return Server(
        name="flink-taskmanager" if number == 1 else f"flink-taskmanager-{number}",
        command=(
            str(HOME / "bin" / "taskmanager.sh"),
            "start-foreground",
            *_dynamic({**options, **remembered}),
        ),
        ports=ports,
        address=f"{SLOTS} slots",
        memory="1.7 GB",
        archive=archive.path("flink-taskmanager", [HOME]),
        ready=lambda: probe.task_managers(a.flink_rest, number),
        **shared,
    )


def conf_dir(project: Project) -> Path:
    """The folder with the cluster's config.yaml."""
    return project.state / "run" / "flink"


def checkpoints(project: Project) -> Path:
    """Where completed checkpoints stay, one folder per Flink job id, until somebody removes them."""
    return project.state / "flink" / "checkpoints"


def savepoints(project: Project) -> Path:
    """Where a stopped job leaves its savepoint."""
    return project.state / "flink" / "savepoints"


def _config(project: Project) -> str:
    a, python = project.addresses, environment("flink") / "bin" / "python"
    shipped = yaml.safe_load((HOME / "conf" / "config.yaml").read_text())
    rights = shipped["env"]["java"]["opts"]["all"]  # the --add-opens that this version of Flink needs
    values = {
        "env.java.opts.all": f"{rights} -Duser.timezone=UTC -XX:+ExitOnOutOfMemoryError",
        "env.java.opts.jobmanager": _LIGHT,
        "env.java.opts.taskmanager": LATE_C2,
        "env.java.opts.sql-gateway": f"-Xms64m -Xmx512m -XX:MaxMetaspaceSize=256m {_LIGHT}",
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": a.port("flink-rpc"),
        "jobmanager.memory.process.size": "1024m",
        "blob.server.port": a.port("flink-blob"),
        "rest.address": "127.0.0.1",
        "rest.cache.checkpoint-statistics.timeout": "100 ms",  # else who asks how far a job is hears of 3 s ago
        "rest.bind-address": "127.0.0.1",
        "rest.port": a.port("flink-rest"),
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": SLOTS,
        "taskmanager.memory.process.size": "1728m",
        "taskmanager.memory.managed.fraction": 0.25,
        "parallelism.default": 1,
        # On a machine that is busy with a whole platform starting, ten seconds for the first actor are too few.
        "pekko.startup-timeout": "60 s",
        "pekko.ask.timeout": "30 s",
        # A TaskManager that was killed refuses two heartbeats: noticed within a second. One that hangs is given up
        # after ten. Its jobs go to another one that has slots, else they wait until it is started again.
        "heartbeat.interval": 500,
        "heartbeat.timeout": 10000,
        "taskmanager.load-balance.mode": "SLOTS",
        # Backs off while something is down, starts afresh after a quiet minute; a job that can't run fails.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": 30,
        "state.backend.type": "rocksdb",
        # Each operator's store tells of every flush, and keeps 100 MB of it by default: 45 MB a minute in a soak.
        "state.backend.rocksdb.log.level": "WARN_LEVEL",
        "state.backend.rocksdb.log.max-file-size": "1mb",
        "state.backend.rocksdb.log.file-num": 2,
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": "3 s",
        "execution.checkpointing.min-pause": "1 s",
        "execution.checkpointing.timeout": "5 min",
        "execution.checkpointing.tolerable-failed-checkpoints": 20,
        "execution.checkpointing.num-retained": 2,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.dir": checkpoints(project).as_uri(),
        "execution.checkpointing.savepoint-dir": savepoints(project).as_uri(),
        "io.tmp.dirs": project.state / "flink" / "temporary",
        "web.cancel.enable": "true",
        "web.submit.enable": "true",
        "web.upload.dir": project.state / "flink" / "uploads",
        "python.executable": python,
        "python.client.executable": python,
        "table.local-time-zone": "UTC",
        "classloader.check-leaked-classloader": "false",
    }
    return "".join(f"{name}: {_quoted(value)}\n" for name, value in values.items())


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, Path) or (isinstance(value, str) and not value.isalnum()) else str(value)
