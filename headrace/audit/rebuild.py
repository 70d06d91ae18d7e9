"""The serving database filled anew from the lake and the bus, after it was lost or restored from an old copy."""

from __future__ import annotations

from collections.abc import Callable

from headrace.audit.flow import in_order
from headrace.errors import HeadraceError, Problem
from headrace.live.run import run
from headrace.project import Project
from headrace.serve import schema
from headrace.stream import ensure, speed


def rebuild(project: Project, progress: Callable[[str], None] = lambda text: None) -> int:
    """Computes every batch view and live view in full, and reads the topics of every alert view from their beginning;
    returns how many views there are now.

    Guarantee: what readers see afterwards follows from what landed and from what is on the bus, and from nothing that
    the serving database held before. A view is replaced in one transaction; an alert view is emptied and fills again.
    What only the database knew is gone if it was lost: the record of earlier runs, certificates and checks. Harmless to
    call again. Raises HeadraceError with everything that failed, after all the rest is there.
    """
    schema.ensure(project)
    failed: list[Problem] = []
    done = 0
    for job in [*in_order(project), *(j for j in project.jobs if j.kind == "stream")]:
        progress(f"{job.name}: {'from the lake' if job.kind == 'batch' else 'from the beginning of its topics'}")
        try:
            if job.kind == "stream":
                ensure.ensure(project, job, full=True)
            else:
                # A speed job that runs knows of rows that were written once, and would not write them again.
                for view, version in speed.running(project) if job.live else ():
                    if view == job.name:
                        speed.stop(project, view, version)
                run(project, job, full=True)
            done += 1
        except HeadraceError as error:
            failed += error.problems
    if failed:
        raise HeadraceError(*failed)
    return done
