"""Once after the containers are up: schema, topics, connectors and stream jobs, as `headrace up` brings them in place.

`headrace up` itself would look for the servers and environments of one machine. Idempotent; exit status 1 with each
reason when a step failed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local import graph, provision
from headrace.local.progress import say
from headrace.project import find_root, load


def main(root: Path) -> int:
    """Runs the steps of the project at `root`; returns the exit status."""
    project = load(find_root(root))
    for problem in project.problems:
        say(problem.render(project.root))
    failed = 0
    for name, outcome in graph.run(provision.steps(project, [])).items():
        if outcome.good:
            continue
        failed = 1
        if isinstance(outcome.error, HeadraceError):
            say("\n".join(problem.render(project.root) for problem in outcome.error.problems))
        else:
            say(f"{name}: {outcome.error or f'needs {outcome.held_up}'}")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
