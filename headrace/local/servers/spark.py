"""Spark: one warm Connect server with Delta, for every batch job."""

from __future__ import annotations

import re

from headrace.local import archive, probe
from headrace.local.install import JARS, environment
from headrace.local.server import LATE_C2, NICE, QUIET, TOKEN, Server
from headrace.local.servers import storage
from headrace.project import Project

HEAP = "1536m"
# Nobody waits for milliseconds here, so no collector has to work beside it.
JVM = f"-Duser.timezone=UTC -XX:+ExitOnOutOfMemoryError -XX:+UseParallelGC {LATE_C2} {TOKEN} {QUIET}"


def server(project: Project) -> Server:
    """Local mode: driver and executor are one JVM; two cores share what the alert path leaves over."""
    a = project.addresses
    python = environment("platform") / "bin" / "python"
    home = environment("platform") / "lib" / "python3.11" / "site-packages" / "pyspark"
    folders = [JARS / "spark", *storage.jars(project)]
    jars = ":".join(str(jar) for folder in folders for jar in sorted(folder.glob("*.jar")))
    conf = {
        "spark.driver.memory": HEAP,
        "spark.driver.extraClassPath": jars,
        "spark.driver.extraJavaOptions": JVM,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.port": a.port("spark-driver"),
        "spark.blockManager.port": a.port("spark-blocks"),
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
    options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    return Server(
        name="spark",
        part="spark",
        command=(
            str(home / "bin" / "spark-submit"),
            "--master",
            "local[2]",
            "--name",
            f"headrace-{re.sub(r'[^a-z0-9-]', '', project.settings.name)}",
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
            *options,
            "spark-internal",
        ),
        environment={
            "SPARK_HOME": str(home),
            "PYSPARK_PYTHON": str(python),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_NO_DAEMONIZE": "1",
        },
        ports={name: a.port(name) for name in ("spark", "spark-ui", "spark-driver", "spark-blocks")},
        folder=project.state / "spark",
        nice=NICE,
        hurried=90,  # it starts in 20 s, and `up` or a new scheduler's views wait for it
        address=a.spark,
        memory="2 GB",
        archive=archive.path("spark", [home / "jars", *folders]),
        patience=600,
        ready=lambda: probe.spark(a.spark),
    )
