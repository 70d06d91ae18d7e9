"""A published view computed once more from the inputs that its run had: what it should hold, for an audit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.batch import compute
from headrace.batch.explain import explain
from headrace.batch.inputs import prepared_at, register
from headrace.batch.recorded import code_version
from headrace.batch.run import VARYING
from headrace.batch.session import session, suit
from headrace.errors import HeadraceError
from headrace.project import Job, Project
from headrace.serve.ops import Published

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def recomputed(project: Project, job: Job, published: Published) -> Iterator[pa.Table]:
    """The job's result over exactly the versions and positions of the published run.

    Raises HeadraceError when that can't be said: the file changed since, asks for the time or for chance, or an input's
    version is gone.
    """
    if code_version(project, job) != published.code_version:
        raise HeadraceError("its file or a contract changed since it was published", hint=f"headrace run {job.name}")
    if VARYING.search(job.text):
        raise HeadraceError("it asks for the time or for chance, so no second run has to be equal")
    ready = prepared_at(project, job, published.positions, published.inputs)
    spark = session(project)
    suit(spark, sum(offset for parts in published.positions.values() for offset in parts.values()))
    try:
        try:
            register(spark, ready)
            table = compute.frame(spark, job).toArrow()
        except HeadraceError:
            raise
        except Exception as error:
            raise explain(job, error) from None
        yield table
    finally:
        spark.stop()
