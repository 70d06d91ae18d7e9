"""ZooKeeper, in which Flink's JobManager keeps which jobs it runs and their newest checkpoints.

A JobManager that was killed runs them again from there by itself, within the seconds that it takes to start; without,
each job would have to be planned and submitted anew. It is the one that Flink carries in its own jar, for one machine.

This bridges seconds, not nights: `up` begins without what an earlier `up` remembered, and starts jobs as ever. State of
a live view's speed job from before a long outage may have expired in part (see headrace/stream/speed.py).
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

from headrace.local import ports, probe
from headrace.local.install import JARS
from headrace.local.server import FEW_ARENAS, SMALL, Server, properties
from headrace.project import Project
from headrace.project.addresses import HOST

NAME = "flink-zookeeper"
SESSION = 5000  # ms after which a JobManager that was killed counts as gone; it takes longer to start again
_LIB = JARS / "flink-home" / "lib"
_MAIN = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.ZooKeeperServerMain"


def server(project: Project, shared: dict[str, Any]) -> Server:
    """The server; `shared` is what all of Flink's have in common."""
    port, file = project.addresses.port(NAME), project.state / "run" / "flink" / "zookeeper.properties"
    options = (
        f"-Dlog4j2.configurationFile={file.with_name('log4j-console.properties')}",
        "-Dzookeeper.jmx.log4j.disable=true",
        "-Dzookeeper.preAllocSize=1024",  # KB of a log's file at a time: by default 64 MB
        "-XX:+ExitOnOutOfMemoryError",
    )
    settings = {
        "dataDir": _folder(project) / "zookeeper",
        "clientPortAddress": HOST,
        "clientPort": port,
        "tickTime": 500,
        "minSessionTimeout": 1000,
        "maxSessionTimeout": 60_000,
        "maxClientCnxns": 0,
        "admin.enableServer": "false",
        "snapCount": 10_000,
        "autopurge.snapRetainCount": 3,
        "autopurge.purgeInterval": 1,  # hours
    }
    return Server(
        name=NAME,
        command=("java", *SMALL, "-Xmx64m", *options, "-cp", _class_path(), _MAIN, str(file)),
        ports={NAME: port},
        address=f"{HOST}:{port}",
        memory="0.1 GB",
        ready=lambda: _answers(port),
        prepare=lambda: _begin(_folder(project), project.addresses.port("flink-rpc")),
        **shared | {"environment": FEW_ARENAS, "files": {**shared["files"], file: properties(settings)}},
    )


def settings(project: Project) -> dict[str, object]:
    """What the JobManager and TaskManagers must know of it. Who submits jobs knows the JobManager's address."""
    session = f"{SESSION} ms"
    return {
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.quorum": f"{HOST}:{project.addresses.port(NAME)}",
        "high-availability.cluster-id": "/2.2",
        "high-availability.storageDir": (_folder(project) / "plans").as_uri(),
        "high-availability.jobmanager.port": project.addresses.port("flink-rpc"),
        "high-availability.zookeeper.client.session-timeout": session,
        "high-availability.zookeeper.client.connection-timeout": session,
        "high-availability.zookeeper.client.retry-wait": "500 ms",
        "high-availability.zookeeper.client.max-retry-attempts": 20,
        # ZooKeeper itself may be started anew, which takes a second: only a lost session ends a JobManager's lead.
        "high-availability.zookeeper.client.tolerate-suspended-connections": "true",
    }


def _class_path() -> str:
    return ":".join(str(jar) for kind in ("flink-dist-*.jar", "log4j-*.jar") for jar in sorted(_LIB.glob(kind)))


def _folder(project: Project) -> Path:
    return project.state / "flink" / "recovery"


def _begin(folder: Path, job_manager: int) -> None:
    """An empty folder, unless a JobManager runs that knows what is in it.

    For the owner only: a job's plan holds the password of its sink.
    """
    if ports.free(job_manager):
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _answers(port: int) -> None:
    with socket.create_connection((HOST, port), probe.SECONDS) as connection:
        connection.sendall(b"srvr")
        if b"Mode: standalone" not in connection.makefile("rb").read():
            raise probe.NotReady("ZooKeeper has not loaded its data yet")
