"""Stops the platforms of every project below a folder: what a test run that was interrupted left behind."""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local import supervise
from headrace.local.progress import say
from headrace.project import load


def sweep(folder: Path) -> int:
    """Ends supervisors and servers of the projects in `folder`, without savepoints; returns how many projects ran."""
    swept = 0
    for state in folder.glob("**/.headrace"):
        if (state / "run" / "supervisord.conf").exists():
            try:
                project = load(state.parent)
            except HeadraceError:
                continue
            running = supervise.alive(project)
            supervise.shutdown(project)
            swept += running
    return swept


if __name__ == "__main__":
    count = sweep(Path(sys.argv[1]))
    if count:
        say(f"stopped what {count} test project{'s' if count > 1 else ''} had left running")
