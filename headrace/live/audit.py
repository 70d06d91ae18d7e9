"""Whether the batch rows of a live view are what its query gives over the log below its cut, computed once more."""

from __future__ import annotations

from contextlib import closing

from headrace.batch.live import Everything, partials
from headrace.errors import HeadraceError
from headrace.project import Job, Project
from headrace.project.live import live_view
from headrace.serve import live as serve
from headrace.serve.database import connect
from headrace.serve.verify import EXAMPLES, Verified
from headrace.sql.live import tables


def audit(project: Project, job: Job) -> tuple[Verified, str]:
    """Compares the published batch rows with a full computation at the same cut and the same landed offsets; returns
    the result and the position. The caller holds the view's lock, so that no run moves the cut meanwhile.

    Raises HeadraceError when the view was never published, or its file or a contract changed since.
    """
    with closing(connect(project)) as connection:
        known = serve.published(connection, job.name)
        if known is None:
            raise HeadraceError("never published", hint=f"headrace run {job.name}")
        view = live_view(project, job, known.generation)
        if known.version != tables.version(view):
            raise HeadraceError(
                "its file or a contract changed since it was published", hint=f"headrace run {job.name}"
            )
        serve.stage(connection, view, partials(project, view, Everything(known.folded), known.landed, known.cut))
        columns = ", ".join(tables.staged_columns(view)[:-1])
        # What is owed nothing is the same as what is not there: an incremental run leaves such keys out.
        there = f"SELECT {columns} FROM {{}} WHERE NOT ({tables.nothing(view)})"
        sides = there.format(tables.STAGED), there.format(tables.batch_table(view))

        def beyond(left: str, right: str) -> tuple[str, ...]:
            query = f"SELECT row_to_json(r)::text FROM ({left} EXCEPT ALL {right}) r LIMIT {EXAMPLES}"
            return tuple(sorted(text for (text,) in connection.execute(query).fetchall()))  # type: ignore[arg-type]

        found = Verified(serve.count(connection, view), beyond(*sides), beyond(*sides[::-1]))
        return found, f"cut {known.as_of.isoformat()}"
