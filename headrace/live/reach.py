"""How far a live view is: what its readers see covers, by position."""

from __future__ import annotations

from contextlib import closing

from headrace.project import Job, Project
from headrace.project.live import live_view
from headrace.serve import live as serve
from headrace.serve.database import connect
from headrace.serve.ops import Positions
from headrace.sql.live import tables
from headrace.sql.live.tree import View
from headrace.stream import speed


def reached(project: Project, job: Job) -> Positions | None:
    """Table → partition → the next offset that the view lacks; None when this version of it was never published.

    Said by the speed job's last checkpoint: it reads everything from the cut on.
    """
    view = _published(project, job)
    return speed.reached(project, view) if view else None


def runs(project: Project, job: Job) -> bool:
    """Whether this version of the view was published and its speed job has not ended: then what it lacks will come."""
    view = _published(project, job)
    return view is not None and (job.name, tables.version(view)) in speed.running(project)


def _published(project: Project, job: Job) -> View | None:
    """The view as its file has it now; None when readers see another version or none."""
    import psycopg

    with closing(connect(project)) as connection:
        try:
            known = serve.published(connection, job.name)
        except psycopg.errors.UndefinedTable:
            return None
    view = live_view(project, job, known.generation if known else 0)
    return view if known and known.version == tables.version(view) else None
