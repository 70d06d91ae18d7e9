"""Spark: one warm Connect server with Delta, for every batch job; alone, or the driver of a cluster on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.local import archive, probe, unpack
from headrace.local.install import JARS, environment
from headrace.local.server import LATE_C2, NICE, QUIET, TOKEN, Server
from headrace.local.servers import storage
from headrace.project import Project

HEAP = "1536m"
# Nobody waits for milliseconds here, so no collector has to work beside it.
JVM = f"-Duser.timezone=UTC -XX:+ExitOnOutOfMemoryError -XX:+UseParallelGC {LATE_C2} {TOKEN} {QUIET}"


def servers(project: Project) -> list[Server]:
    """The Connect server; with workers also their master and each of them, with an executor of a core and 1 GB."""
    workers = project.settings.local.spark_workers
    if not workers:
        return [_connect(project)]
    return [_master(project), *(_worker(project, number) for number in range(1, workers + 1)), _connect(project)]


def _connect(project: Project) -> Server:
    """In local mode driver and executor are one JVM; two cores share what the alert path leaves over."""
    a, cluster = project.addresses, project.settings.local.spark_workers
    python = _python()
    folders = [JARS / "spark", *storage.jars(project)]
    jars = ":".join(str(jar) for folder in folders for jar in sorted(folder.glob("*.jar")))
    conf = {
        "spark.driver.memory": HEAP,
        "spark.driver.extraClassPath": jars,
        "spark.driver.extraJavaOptions": JVM,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.port": a.port("spark-driver"),
        "spark.driver.blockManager.port": a.port("spark-blocks"),
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": a.port("spark"),
        "spark.connect.grpc.maxInboundMessageSize": 134217728,
        "spark.ui.port": a.port("spark-ui"),
        "spark.ui.retainedJobs": 100,
        "spark.ui.retainedStages": 100,
        "spark.sql.ui.retainedExecutions": 50,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": 4,
        "spark.sql.warehouse.dir": project.state / "spark" / "warehouse",
        "spark.local.dir": project.state / "spark" / "temporary",
        "spark.databricks.delta.snapshotPartitions": 2,
        "spark.pyspark.python": python,
        "spark.pyspark.driver.python": python,
        **storage.settings(project),
    }
    if cluster:
        conf |= {
            "spark.executor.memory": "1g",
            "spark.executor.cores": 1,
            "spark.executor.extraClassPath": jars,
            "spark.executor.extraJavaOptions": "-Duser.timezone=UTC -XX:+ExitOnOutOfMemoryError",
        }
    options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    return Server(
        name="spark",
        part="spark",
        command=(
            str(_home() / "bin" / "spark-submit"),
            "--master",
            _address(project) if cluster else "local[2]",
            "--name",
            f"headrace-{re.sub(r'[^a-z0-9-]', '', project.settings.name)}",
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
            *options,
            "spark-internal",
        ),
        environment=_environment(),
        ports={name: a.port(name) for name in ("spark", "spark-ui", "spark-driver", "spark-blocks")},
        needs=tuple(f"spark-worker-{number}" for number in range(1, cluster + 1)),
        folder=project.state / "spark",
        nice=NICE,
        hurried=90,  # it starts in 20 s, and `up` or a new scheduler's views wait for it
        address=a.spark,
        memory="2 GB",
        archive=archive.path("spark", [_home() / "jars", *folders]),
        patience=600,
        ready=lambda: probe.spark(a.spark),
    )


def _master(project: Project) -> Server:
    a = project.addresses
    place = [
        "--host",
        "127.0.0.1",
        "--port",
        str(a.port("spark-master")),
        "--webui-port",
        str(a.port("spark-master-ui")),
    ]
    return Server(
        name="spark-master",
        part="spark",
        command=(*_class("org.apache.spark.deploy.master.Master"), *place),
        environment=_environment() | {"SPARK_DAEMON_MEMORY": "256m"},
        ports={name: a.port(name) for name in ("spark-master", "spark-master-ui")},
        folder=project.state / "spark",
        address=_address(project),
        memory="0.3 GB",
        ready=lambda: probe.spark_workers(_page(project), 0),
    )


def _worker(project: Project, number: int) -> Server:
    """It listens where there is room, and tells the master. An executor runs beside it as a process of its own."""
    name = f"spark-worker-{number}"
    size = ["--cores", "1", "--memory", "1g", "--work-dir", str(project.state / "spark" / name)]
    place = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    return Server(
        name=name,
        part="spark",
        command=(*_class("org.apache.spark.deploy.worker.Worker"), *place, *size, _address(project)),
        environment=_environment() | {"SPARK_DAEMON_MEMORY": "256m"},
        needs=("spark-master",),
        folder=project.state / "spark",
        nice=NICE,
        address=_address(project),
        memory="1.5 GB",
        ready=lambda: probe.spark_workers(_page(project), number),
    )


def _class(name: str) -> tuple[str, ...]:
    return (str(_home() / "bin" / "spark-class"), name)


def _address(project: Project) -> str:
    return f"spark://127.0.0.1:{project.addresses.port('spark-master')}"


def _page(project: Project) -> str:
    return f"http://127.0.0.1:{project.addresses.port('spark-master-ui')}"


def _python() -> Path:
    return environment("platform") / "bin" / "python"


def _home() -> Path:
    return unpack.SPARK.parent


def _environment() -> dict[str, str]:
    python, home = str(_python()), str(_home())
    return {"SPARK_HOME": home, "PYSPARK_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
