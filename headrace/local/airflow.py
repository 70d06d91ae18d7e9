"""Airflow's command line as its servers are started: `python -m headrace.local.airflow`, in Airflow's environment.

Airflow 3.3 binds the server that hands out task logs to every interface and has no setting for it.
"""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

from headrace.local.airflow_tidy import tidy


def main() -> None:
    """Runs `airflow` with this process's arguments; beside the one that reads the DAGs, old runs are removed."""
    import uvicorn
    from airflow.__main__ import main as airflow
    from airflow.utils.serve_logs import core

    core.uvicorn = SimpleNamespace(run=lambda app, **options: uvicorn.run(app, **(options | {"host": "127.0.0.1"})))
    if sys.argv[1:2] == ["dag-processor"]:
        threading.Thread(target=tidy, daemon=True).start()
    sys.argv[0] = "airflow"
    airflow()


if __name__ == "__main__":
    main()
