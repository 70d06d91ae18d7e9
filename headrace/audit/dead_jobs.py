"""Jobs that failed on every try: run again after a fix, or given up. What a job does not bring is not lost: it stays in
its source, or on the lake, until the job runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from headrace.errors import HeadraceError, did_you_mean
from headrace.live.run import run
from headrace.project import Project
from headrace.pulls.pull import pull
from headrace.serve import ops


def replay(project: Project, name: str) -> str:
    """Runs the job once more, now; returns in words what came of it. A success closes its row in ops.dead_jobs; the
    error of another failure is raised, and the row stays open."""
    kind = _kind(project, name)
    if kind == "source":
        done = pull(project, project.source(name))
        held = [f"{table} is paused" for table in done["paused"] or ([] if done["tables"] else [name])]
        if wrong := [*done["skipped"], *held]:
            raise HeadraceError(*(f"not pulled: {reason}" for reason in wrong))
        pulled(project, name, done)
        return f"{name}: pulled"
    done = run(project, project.job(name))
    return f"{name}: {done.state}, {done.rows:,} rows"


def pulled(project: Project, name: str, done: Mapping[str, Any]) -> None:
    """Closes what failed of a source's pulls before, where this one brought all that it should. Where the serving
    database is away, the next pull says it."""
    if done["tables"] and not done["paused"] and not done["skipped"]:
        with suppress(HeadraceError):
            ops.replayed(project, name, "source")


def drop(project: Project, name: str, why: str) -> str:
    """Gives the job's failure up, with the reason. It is due again as ever."""
    _kind(project, name)
    ops.drop_dead(project, name, why)
    return f"{name}: given up"


def _kind(project: Project, name: str) -> str:
    found = {str(row["job"]): str(row["kind"]) for row in ops.dead_jobs(project)}
    if name not in found:
        raise HeadraceError(f"{name!r} did not fail for good", hint=did_you_mean(name, found) or "headrace dlq jobs")
    return found[name]
