"""Airflow's command line with its log server on loopback: `python -m headrace.local.airflow`, in its environment.

Airflow 3.3 binds the server that hands out task logs to every interface and has no setting for it.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace


def main() -> None:
    """Runs `airflow` with this process's arguments."""
    import uvicorn
    from airflow.__main__ import main as airflow
    from airflow.utils.serve_logs import core

    core.uvicorn = SimpleNamespace(run=lambda app, **options: uvicorn.run(app, **(options | {"host": "127.0.0.1"})))
    sys.argv[0] = "airflow"
    airflow()


if __name__ == "__main__":
    main()
