"""Neo4j: one server per local source of that kind, the community edition with Bolt on loopback."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from headrace.local import archive, probe
from headrace.local.install import JARS
from headrace.local.server import FEW_ARENAS, NICE, SMALL, Server, java, properties
from headrace.project import Project, Source

HOME = JARS / "neo4j"
_OPENED = ("java.nio", "java.io", "sun.nio.ch")  # packages of the JDK that its page cache and its network reach into


def source(project: Project, of: Source) -> Server:
    """A service's own graph. Its user `headrace` is made at every start, by the main in local/jars/Neo4jServer.java."""
    a = project.addresses
    name, port = f"source-{of.name}", a.source_port(of.name)
    data, config = project.state / "data" / name, project.state / "run" / f"{name}.conf"
    password = unquote(urlsplit(a.source(of)).password or "")
    values = {
        "dbms.security.auth_enabled": "true",
        "server.bolt.enabled": "true",
        "server.bolt.listen_address": f"127.0.0.1:{port}",
        "server.bolt.advertised_address": f"127.0.0.1:{port}",
        "server.bolt.thread_pool_max_size": 40,
        "server.directories.logs": project.state / "logs" / name,
        "server.memory.pagecache.size": "16m",
        "db.tx_log.preallocate": "false",
        "db.tx_log.rotation.size": "16m",
        "dbms.usage_report.enabled": "false",
        "db.temporal.timezone": "Z",
    }
    opens = tuple(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)
    main = (*SMALL, *opens, "Neo4jServer", str(data), str(config))
    return Server(
        name=name,
        part=f"source:{of.name}",
        command=java(*main, heap=256, path=f"{HOME}/*", archive=True),
        files={config: properties(values)},
        environment=FEW_ARENAS | {"HEADRACE_NEO4J_PASSWORD": password},
        ports={f"source:{of.name}": port},
        address=f"127.0.0.1:{port}",
        nice=NICE,  # it is only pulled
        hurried=45,  # after a crash its service waits for it
        memory="0.4 GB",
        archive=archive.path("neo4j", [HOME]),
        ready=lambda: probe.neo4j(port, "headrace", password),
    )
