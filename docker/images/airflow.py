"""`airflow` in its image: Airflow's command line with the settings that the platform gives it.

What the environment says already (Airflow's chart sets some) wins. HEADRACE_AIRFLOW is where the other containers reach
the API server, since the project's settings name no address for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from headrace.local.install import environment
from headrace.local.servers.airflow import USER, variables
from headrace.project import Project, find_root, load


def settings(project: Project, given: Mapping[str, str]) -> dict[str, str]:
    """The environment for Airflow: the platform's settings, with this installation's addresses, under what is given."""
    found = variables(project)
    if address := given.get("HEADRACE_AIRFLOW"):
        found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{address}/execution/"
        found["AIRFLOW__API__BASE_URL"] = address
    return found | given


def main() -> None:
    """Writes the file of passwords and becomes `airflow` with this process's arguments."""
    project = load(find_root(Path(os.environ.get("HEADRACE_PROJECT", "."))))
    variables_ = settings(project, os.environ)
    passwords = Path(variables_["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    passwords.parent.mkdir(parents=True, exist_ok=True)
    part = passwords.with_name(f"{passwords.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_text(json.dumps({USER: project.addresses.secret("HEADRACE_AIRFLOW_PASSWORD")}), encoding="utf-8")
    part.replace(passwords)
    program = str(environment("airflow") / "bin" / "airflow")
    os.execve(program, [program, *sys.argv[1:]], variables_)


if __name__ == "__main__":
    main()
