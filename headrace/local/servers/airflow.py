"""Airflow: API server with the web pages, scheduler with its local executor, DAG processor; metadata in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any
from urllib.parse import urlsplit

from headrace.errors import HeadraceError
from headrace.local import probe
from headrace.local.install import ROOT, environment
from headrace.local.server import NICE, Server
from headrace.orchestrate.names import dags_folder
from headrace.project import Project

USER = "admin"


def servers(project: Project) -> list[Server]:
    """Three servers of one configuration, all at low priority."""
    address, python = project.addresses.airflow, environment("airflow") / "bin" / "python"
    settings, folder = variables(project), project.state / "airflow"
    passwords = folder / "passwords.json"
    files = {passwords: json.dumps({USER: project.addresses.secret("HEADRACE_AIRFLOW_PASSWORD")})}
    run = (str(python), "-m", "headrace.local.airflow")
    shared: dict[str, Any] = {
        "part": "airflow",
        "environment": settings,
        "files": files,
        "folder": folder,
        "nice": NICE,
        "patience": 600,
    }
    port = str(project.addresses.port("airflow"))
    return [
        Server(
            name="airflow-api",
            command=(*run, "api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1"),
            ports={"airflow": int(port)},
            needs=("postgres",),
            address=address,
            memory="0.5 GB",
            hurried=60,  # scheduler and DAG processor wait for it, and people do
            stop_patience=4,  # it would wait for open pages; it has no state to lose
            prepare=lambda: migrate(project),
            ready=lambda: probe.airflow(address, "metadatabase"),
            **shared,
        ),
        Server(
            name="airflow-scheduler",
            command=(*run, "scheduler"),
            ports={"airflow-worker-log": project.addresses.port("airflow-worker-log")},
            needs=("postgres", "airflow-api"),
            memory="0.5 GB",
            ready=lambda: probe.airflow(address, "scheduler"),
            **shared,
        ),
        Server(
            name="airflow-dags",
            command=(*run, "dag-processor"),
            needs=("postgres", "airflow-api"),
            memory="0.3 GB",
            ready=lambda: probe.airflow(address, "dag_processor"),
            **shared,
        ),
    ]


def migrate(project: Project) -> None:
    """Brings Airflow's metadata to this version; quick when it is. Raises HeadraceError with Airflow's last lines."""
    folder = project.state / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["nice", "-n", str(NICE), str(environment("airflow") / "bin" / "airflow"), "db", "migrate"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables(project), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HeadraceError(
            "Airflow can't make its tables", hint="\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        )


def variables(project: Project) -> dict[str, str]:
    """Airflow's settings as environment variables, secrets included; also for running its command line by hand."""
    a, folder = project.addresses, project.state / "airflow"
    url = urlsplit(a.serving())._replace(path="/airflow").geturl()
    settings = {
        "CORE__DAGS_FOLDER": dags_folder(project),
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": 4,
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": folder / "passwords.json",
        "CORE__EXECUTION_API_SERVER_URL": f"{a.airflow}/execution/",
        "CORE__DEFAULT_TIMEZONE": "utc",
        "CORE__FERNET_KEY": a.secret("HEADRACE_AIRFLOW_FERNET"),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "DATABASE__SQL_ALCHEMY_CONN": url.replace("postgresql://", "postgresql+psycopg2://", 1),
        "DATABASE__SQL_ALCHEMY_POOL_SIZE": 3,
        "API__BASE_URL": a.airflow,
        "API__SECRET_KEY": a.secret("HEADRACE_AIRFLOW_SECRET"),
        "API__EXPOSE_CONFIG": False,
        "API_AUTH__JWT_SECRET": a.secret("HEADRACE_AIRFLOW_SECRET"),
        "API_AUTH__JWT_LEEWAY": 30,
        "LOGGING__BASE_LOG_FOLDER": project.state / "logs" / "airflow",
        "LOGGING__WORKER_LOG_SERVER_PORT": a.port("airflow-worker-log"),
        "CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS": False,  # the banner shows file:line, caret and hint, not our stack
        "DAG_PROCESSOR__REFRESH_INTERVAL": 30,
        # The pulse touches dags/ when a file of the project changes, so this is only for when there is no pulse.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": 120,
        "SCHEDULER__ENABLE_HEALTH_CHECK": False,
        "SCHEDULER__USE_JOB_SCHEDULE": True,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {f"AIRFLOW__{name}": str(value) for name, value in settings.items()} | {
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "HEADRACE_PROJECT": str(project.root),
        "HEADRACE_BIN": os.environ.get("HEADRACE_BIN") or str(environment("platform") / "bin" / "headrace"),
        "NO_PROXY": "*",
    }
