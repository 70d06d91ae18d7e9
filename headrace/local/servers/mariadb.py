"""MariaDB: one server per local source of that kind, with full row images in its log."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headrace.errors import HeadraceError
from headrace.local import probe
from headrace.local.install import JARS
from headrace.local.server import Server
from headrace.project import Project, Source

HOME = JARS / "mariadb"


def source(project: Project, of: Source) -> Server:
    """A service's own database. The user and databases are made at every start, before the first connection."""
    a = project.addresses
    name, port = f"source-{of.name}", a.source_port(of.name)
    data, first = project.state / "data" / name, project.state / "run" / f"{name}.sql"
    password = unquote(urlsplit(a.source(of)).password or "")
    databases = (of.database, *(s.database for s in project.sources if s.server == of.name))
    flags = {
        "basedir": HOME,
        "datadir": data,
        "port": port,
        "bind-address": "127.0.0.1",
        # Paths of sockets may hold 107 characters; this one is relative to the data folder.
        "socket": "mariadb.sock",
        "pid-file": data / "mariadb.pid",
        "init-file": first,
        "log-bin": "bin",
        "binlog-format": "ROW",
        "binlog-row-image": "FULL",
        "binlog-row-metadata": "FULL",
        "gtid-strict-mode": "ON",
        "sync-binlog": 1,  # what a service was told is committed must be in the log that we read
        "binlog-expire-logs-seconds": 0,  # a log that is gone is a gap: nothing is removed by age
        "server-id": 1 + zlib.crc32(of.name.encode()) % 100_000,
        "default-time-zone": "+00:00",
        "character-set-server": "utf8mb4",
        "innodb-buffer-pool-size": "64M",
        "performance-schema": "OFF",
        "skip-name-resolve": "ON",
        # It would draw an RSA key at each start: many seconds of computing, for a server that only loopback reaches.
        "ssl": 0,
        "innodb-log-file-size": "32M",
    }
    return Server(
        name=name,
        part=f"source:{of.name}",
        command=(
            str(HOME / "bin" / "mariadbd"),
            "--no-defaults",
            f"--user={getpass.getuser()}",
            *(f"--{k}={v}" for k, v in flags.items()),
        ),
        files={first: _first(password, databases)},
        ports={f"source:{of.name}": port},
        address=f"127.0.0.1:{port}",
        folder=HOME,
        memory="0.2 GB",
        stop_patience=30,
        prepare=lambda: _init(data),
        ready=lambda: probe.mariadb(port, "headrace", password),
    )


def _first(password: str, databases: tuple[str, ...]) -> str:
    """Statements of every start. Without them root would be open to everybody on this machine."""
    secret = password.replace("\\", "\\\\").replace("'", "\\'")
    lines = [
        f"CREATE USER IF NOT EXISTS headrace@'%' IDENTIFIED BY '{secret}';",
        f"ALTER USER headrace@'%' IDENTIFIED BY '{secret}';",
        "GRANT ALL PRIVILEGES ON *.* TO headrace@'%' WITH GRANT OPTION;",
        "DELETE FROM mysql.global_priv WHERE User IN ('root', '', 'PUBLIC') AND User <> 'PUBLIC';",
        "FLUSH PRIVILEGES;",
        *(f"CREATE DATABASE IF NOT EXISTS `{database}`;" for database in databases),
    ]
    return "\n".join(lines) + "\n"


def _init(data: Path) -> None:
    if data.exists():
        return
    made = data.with_name(f".{data.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    options = (
        f"--user={getpass.getuser()}",
        f"--basedir={HOME}",
        f"--datadir={made}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--ssl=0",
        "--innodb-log-file-size=32M",
    )
    command = [str(HOME / "scripts" / "mariadb-install-db"), "--no-defaults", *options]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HeadraceError(
            f"MariaDB can't make its data folder {data}",
            hint="\n".join((done.stdout + done.stderr).strip().splitlines()[-8:]),
        )
    made.rename(data)
