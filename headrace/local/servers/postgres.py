"""PostgreSQL: the serving server (views, records, Airflow's metadata) and one per local source of that kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local import probe
from headrace.local.install import JARS
from headrace.local.server import Server, as_nobody
from headrace.project import Project, Source

BIN = JARS / "postgres" / "bin"


def serving(project: Project) -> Server:
    """The serving database `headrace` and Airflow's `airflow`, for many short connections."""
    a = project.addresses
    options = {"max_connections": 200, "shared_buffers": "128MB", "wal_level": "replica"}
    return _server(project, "postgres", "postgres", a.port("postgres"), a.serving(), ("headrace", "airflow"), options)


def source(project: Project, of: Source) -> Server:
    """A service's own database, with the logical log that Debezium reads."""
    a = project.addresses
    databases = (of.database, *(s.database for s in project.sources if s.server == of.name))
    options = {
        "max_connections": 100,
        "shared_buffers": "64MB",
        "wal_level": "logical",
        "max_replication_slots": 16,
        "max_wal_senders": 16,
    }
    return _server(
        project, f"source-{of.name}", f"source:{of.name}", a.source_port(of.name), a.source(of), databases, options
    )


def _server(
    project: Project, name: str, part: str, port: int, url: str, databases: tuple[str, ...], options: dict[str, object]
) -> Server:
    data = project.state / "data" / name
    fixed = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    flags = [word for key, value in (fixed | options).items() for word in ("-c", f"{key}={value}")]
    return Server(
        name=name,
        part=part,
        command=as_nobody(str(BIN / "postgres"), "-D", str(data), *flags),
        ports={part: port},
        address=f"127.0.0.1:{port}",
        memory="0.2 GB",
        stop_signal="INT",  # fast shutdown: sessions are ended, everything committed is on disk
        stop_group=False,  # to a backend the same signal would only mean: cancel the query
        prepare=lambda: _init(data, url),
        ready=lambda: probe.postgres(url),
        provision=lambda: _databases(url, databases),
    )


def _init(data: Path, url: str) -> None:
    if data.exists():
        return
    from urllib.parse import unquote, urlsplit

    made = data.with_name(f".{data.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", suffix=".password") as secret:
        secret.write(unquote(urlsplit(url).password or ""))
        secret.flush()
        made.chmod(0o700)
        options = (
            "--username=headrace",
            f"--pwfile={secret.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-sync",
        )
        locale = ("--locale-provider=builtin", "--locale=C.UTF-8", "--lc-collate=C", "--lc-ctype=C")
        command = as_nobody(str(BIN / "initdb"), "-D", str(made), *options, *locale)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    if done.returncode:
        hint = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        if os.geteuid() == 0:
            hint += "\nPostgreSQL refuses root; it runs in a user name space here (unshare -U). Or be another user."
        raise HeadraceError(f"PostgreSQL can't make its data folder {data}", hint=hint)
    made.rename(data)


def _databases(url: str, databases: tuple[str, ...]) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for database in databases:
            if database not in there:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        for database in {"postgres", "airflow"} & {*there, *databases}:  # what readers of the views have no business in
            connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
