"""An authority and its certificates, a broker that speaks SASL over TLS only, and a PostgreSQL that speaks TLS only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.local.install import JARS
from headrace.local.server import Server, java, properties
from headrace.local.servers import kafka, postgres
from headrace.project import Project

USER, SECRET = "headrace", "s3cret of the bus $1:/@%&"
DATABASE_SECRET = "s3cret of the database :/@%"


@dataclass(frozen=True)
class Authority:
    """`ca` signed what `server` holds, its certificate for 127.0.0.1 and its key; `other` signed nothing."""

    ca: Path
    other: Path
    server: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def authority(work_folder: Path) -> Authority:
    folder = work_folder / "certificates"
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", "2")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *made)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "certificate.pem")
    (folder / "server.pem").write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    (folder / "key.pem").chmod(0o600)
    return Authority(*(folder / f"{name}.pem" for name in ("ca", "other", "server", "certificate", "key")))


@contextmanager
def running(command: tuple[str, ...], log: Path) -> Iterator[None]:
    """One server, for the block only."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | {"LC_ALL": "C"})
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def security(authority: Authority, **others: str) -> dict[str, str]:
    """`bus_security` of a project that uses the broker; `others` have _ for the dots."""
    given = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": "${TLS_BUS_PASSWORD}",
        "ssl.ca.location": str(authority.ca),
    }
    return given | {name.replace("_", "."): value for name, value in others.items()}


@pytest.fixture(scope="session")
def broker(make_project: Callable[..., Project], authority: Authority, until) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """The address of a broker of the platform's kind whose clients must be known, over TLS."""
    from confluent_kafka.admin import AdminClient

    project = make_project({})
    plain = kafka.servers(project)[0]
    (config,) = (path for path in plain.files if path.name == "bus.properties")
    values = dict(line.split("=", 1) for line in plain.files[config].splitlines())
    scram = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{USER}" password="{SECRET}";'
    for name in ("listeners", "advertised.listeners"):
        values[name] = values[name].replace("PLAINTEXT://", "SASL_SSL://", 1)
    values |= {
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
    }
    config.parent.mkdir(parents=True)
    config.write_text(properties(values))
    for path, text in plain.files.items():
        if path != config:
            path.write_text(text)
    user = f"SCRAM-SHA-512=[name={USER},password={SECRET}]"
    tool = ("kafka.tools.StorageTool", "format", "-t", "SecuredSecuredSecured1", "-c", str(config), "--add-scram", user)
    subprocess.run(java(*tool, heap=256, path=kafka.PATH), check=True, capture_output=True)
    address = f"127.0.0.1:{project.addresses.port('bus')}"
    client = {
        "bootstrap.servers": address,
        "log_level": 0,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": SECRET,
        "ssl.ca.location": str(authority.ca),
    }

    with running(java("kafka.Kafka", str(config), heap=384, path=kafka.PATH), project.root / "bus.log"):
        until(lambda: AdminClient(client).list_topics(timeout=3), 60, f"the broker answers ({project.root}/bus.log)")
        yield address


@pytest.fixture(scope="session")
def database(make_project: Callable[..., Project], authority: Authority, until) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """Host and port of a PostgreSQL that takes connections over TLS only."""
    from urllib.parse import quote

    project = make_project({})
    port = project.addresses.port("postgres")
    url = f"postgresql://headrace:{quote(DATABASE_SECRET, '')}@127.0.0.1:{port}/postgres"
    options: dict[str, object] = {"ssl": "on", "ssl_cert_file": authority.certificate, "ssl_key_file": authority.key}
    options["wal_level"] = "logical"
    server: Server = postgres._server(project, "secured", "secured", port, url, ("site",), options)
    server.prepare()
    (project.state / "data" / "secured" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")

    def there() -> bool:
        try:
            server.ready()
        except Exception:
            return False
        return True

    with running(server.command, project.root / "postgres.log"):
        until(there, 30, f"PostgreSQL answers ({project.root}/postgres.log)")
        server.provision()
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def run_java(work_folder: Path) -> Callable[..., str]:
    """run_java(text of a class Main, jars, *arguments): what it prints."""

    def run(text: str, jars: list[Path], *arguments: str, **environment: str) -> str:
        folder = work_folder / "java"
        folder.mkdir(exist_ok=True)
        (folder / "Main.java").write_text(text)
        command = ["java", "-cp", ":".join(map(str, jars)), str(folder / "Main.java"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


__all__ = ["JARS"]
