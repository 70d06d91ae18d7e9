"""Superset: the project's dashboards, made from files, reading the serving database through the reader role.

Only `make dashboards` starts it; from then on it is one of the project's servers until the next `down`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import urllib.request
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.install import ROOT, environment
from headrace.local.progress import step
from headrace.local.secrets import write_private
from headrace.local.server import NICE, Server
from headrace.project import Project

USER = "admin"
PROGRAM = ROOT / "docker" / "superset"  # superset_config.py and provision.py
# One process keeps the metadata in SQLite free of lock waits and the memory at 0.4 GB; its threads wait for PostgreSQL.
GUNICORN = ("--workers", "1", "--worker-class", "gthread", "--threads", "8", "--timeout", "120", "--no-control-socket")


def servers(project: Project) -> list[Server]:
    """Superset's web server where dashboards were asked for, else none."""
    return [server(project)] if _asked(project).exists() else []


def ask(project: Project) -> None:
    """Makes Superset one of the project's servers until the next `down`."""
    _asked(project).parent.mkdir(parents=True, exist_ok=True)
    _asked(project).touch()


def forget(project: Project) -> None:
    """Superset is no server of the project any more; what it knows stays."""
    _asked(project).unlink(missing_ok=True)


def server(project: Project) -> Server:
    """The web server on loopback."""
    port = project.addresses.port("superset")
    address = f"http://127.0.0.1:{port}"
    gunicorn = str(environment("dashboards") / "bin" / "gunicorn")
    return Server(
        name="superset",
        part="superset",
        command=(gunicorn, "--bind", f"127.0.0.1:{port}", *GUNICORN, "superset.app:create_app()"),
        environment=variables(project),
        ports={"superset": port},
        needs=("postgres",),
        folder=home(project),
        nice=NICE,
        memory="0.4 GB",
        address=address,
        stop_patience=5,  # it has no state to lose
        prepare=lambda: provision(project),
        ready=lambda: _healthy(address),
    )


def variables(project: Project) -> dict[str, str]:
    """What superset_config.py and provision.py read, secrets included."""
    a = project.addresses
    return {
        "SUPERSET_CONFIG_PATH": str(PROGRAM / "superset_config.py"),
        "HEADRACE_SUPERSET_HOME": str(home(project)),
        "HEADRACE_SUPERSET_SECRET": a.secret("HEADRACE_SUPERSET_SECRET"),
        "HEADRACE_SUPERSET_PASSWORD": a.secret("HEADRACE_SUPERSET_PASSWORD"),
        "HEADRACE_SERVING_READER": a.serving("reader"),
        "PYTHONWARNINGS": "ignore",
    }


def home(project: Project) -> Path:
    """The folder of Superset's own metadata."""
    return project.state / "superset"


def assets(project: Project) -> Path:
    """The project's dashboards in Superset's export format."""
    return project.root / "docker" / "superset" / "assets"


def provision(project: Project) -> None:
    """Makes Superset's metadata what the files say; quick when they did not change since the last time.

    Safe while Superset runs: the next page load shows it. Raises HeadraceError with what Superset said.
    """
    made_from = _fingerprint(project)
    stamp = home(project) / ".made-from"
    if stamp.exists() and stamp.read_text() == made_from:
        return
    with step("dashboards are made from their files"):
        _provision(project)
    write_private(stamp, made_from)


def _provision(project: Project) -> None:
    home(project).mkdir(parents=True, exist_ok=True)
    python = str(environment("dashboards") / "bin" / "python")
    done = subprocess.run(
        ["nice", "-n", str(NICE), python, str(PROGRAM / "provision.py"), str(assets(project))],
        cwd=home(project),
        env=os.environ | variables(project),
        capture_output=True,
        text=True,
        check=False,
    )
    write_private(project.state / "logs" / "superset-provision.log", done.stdout + done.stderr)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-8:]
        raise HeadraceError("Superset can't be set up from its files", hint="\n".join(said))


def _asked(project: Project) -> Path:
    return project.state / "run" / "dashboards"


def _fingerprint(project: Project) -> str:
    digest = hashlib.sha256((ROOT / "uv.lock").read_bytes())
    for file in sorted({*PROGRAM.glob("*.py"), *assets(project).rglob("*.yaml")}):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    digest.update(project.addresses.secret("HEADRACE_SUPERSET_PASSWORD").encode())
    return digest.hexdigest()[:16]


def _healthy(address: str) -> None:
    open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    with open_(f"{address}/health", timeout=5) as answer:
        answer.read()
