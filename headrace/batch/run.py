"""Running a batch view: inputs brought up to date, computed on Spark, written to the lake, published at once."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

from headrace.batch import compute
from headrace.batch.explain import explain
from headrace.batch.inputs import Ready, prepare, register
from headrace.batch.recorded import Run, code_version, recorded
from headrace.batch.session import session, suit
from headrace.batch.tidy import tidy
from headrace.errors import HeadraceError
from headrace.lake import paths
from headrace.lake.commits import metadata, stored
from headrace.project import Job, Project
from headrace.project.personal import personal
from headrace.quality import gate
from headrace.serve import ops
from headrace.serve.columns import columns
from headrace.serve.database import connect, still_held
from headrace.serve.ops import Positions
from headrace.serve.publish import Publication, existing, publish

if TYPE_CHECKING:
    import psycopg

# A view that asks for the time or for chance gives another result from the same inputs.
VARYING = re.compile(
    r"\b(now|current_\w+|curdate|localtimestamp|rand|randn|random|uuid|shuffle|unix_timestamp)\b", re.IGNORECASE
)


def run(project: Project, job: Job, full: bool = False) -> Run:
    """Runs a batch job now; returns when readers see the result.

    Guarantees: the published view is the job's result over exactly the landed rows below the recorded positions.
    Readers see the old result or the new one. On an error, or when a blocking check of an input or of the view itself
    fails, the old result stays, ops.runs says why, and HeadraceError is raised at the line. Idempotent, serialised per
    view; a run without changed inputs costs no Spark job. `full` folds the current tables of the inputs from landing
    again and computes in any case.
    """
    began = time.monotonic()
    with recorded(project, job, full) as (lock, run_id):
        return _run(project, job, full, lock, run_id, began)


def positions(project: Project, view: str) -> Positions | None:
    """What the published view covers: table → partition → next offset; None when it was never published."""
    import psycopg

    with connect(project) as connection:
        try:
            known = ops.published(connection, view)
        except psycopg.errors.UndefinedTable:
            return None
    return known.positions if known else None


def _run(project: Project, job: Job, full: bool, lock: psycopg.Connection, run_id: uuid.UUID, began: float) -> Run:
    ready = prepare(project, job, rebuild=full)
    version = code_version(project, job)
    base = ops.published(lock, job.name)
    if base and not full and _unchanged(project, job, lock, base, ready, version):
        lock.execute(
            "UPDATE ops.views SET positions = %s, published_at = now() WHERE view = %s AND run_id = %s",
            (ops.to_json(ready.positions), job.name, base.run_id),
        )
        ops.finish(lock, run_id, "unchanged", "", base.rows, ready.positions, ready.versions, base.lake_version)
        return Run(run_id, job.name, "unchanged", base.rows, time.monotonic() - began, ready.positions)
    gate.inputs(project, job, ready.versions)
    lake_version = _write(project, job, ready, run_id, lock)
    gate.result(project, job, paths.batch(project, job.name), lake_version)
    reader, schema_ = _read(project, job.name, lake_version)
    publication = Publication(
        run_id,
        ready.positions,
        version,
        base.run_id if base else None,
        ready.versions,
        lake_version,
        _comment(job),
        personal(project, job).among(schema_.names),
    )
    rows = publish(project, job.name, columns(schema_), reader, publication)
    return Run(run_id, job.name, "succeeded", rows, time.monotonic() - began, ready.positions)


def _unchanged(
    project: Project, job: Job, lock: psycopg.Connection, base: ops.Published, ready: Ready, version: str
) -> bool:
    """Whether the published rows are what a run would publish again. Python may read anything, so it always runs."""
    if (
        job.language == "py"
        or VARYING.search(job.text)
        or base.code_version != version
        or base.inputs != ready.versions
    ):
        return False
    commit = stored(paths.batch(project, job.name))
    return commit is not None and commit.version == base.lake_version and existing(lock, job.name) is not None


def _write(project: Project, job: Job, ready: Ready, run_id: uuid.UUID, lock: psycopg.Connection) -> int:
    """Writes the result to the lake; the commit carries the run and its positions. Returns the table's version."""
    path = paths.batch(project, job.name)
    state = {
        "run_id": str(run_id),
        "positions": ready.positions,
        "code_version": code_version(project, job),
        "inputs": ready.versions,
    }
    spark = session(project)
    suit(spark, sum(offset for parts in ready.positions.values() for offset in parts.values()))
    try:
        register(spark, ready)
        result = compute.frame(spark, job)
        if not still_held(lock):
            raise HeadraceError("the serving database was restarted during the run", hint=f"headrace run {job.name}")
        try:
            writer = result.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
            writer.option("userMetadata", metadata(state, f"run of {job.name}")).save(path)
        except Exception as error:
            raise explain(job, error) from None
        commit = stored(path)
        if commit is None or commit.state.get("run_id") != str(run_id):
            raise HeadraceError(f"somebody else wrote {path} during the run", hint=f"headrace run {job.name}")
        tidy(spark, path, commit.version)
        return commit.version
    finally:
        spark.stop()


def _read(project: Project, view: str, version: int):
    from deltalake import DeltaTable

    dataset = DeltaTable(paths.batch(project, view), version=version).to_pyarrow_dataset()
    return dataset.scanner().to_reader(), dataset.schema


def _comment(job: Job) -> str:
    owner = job.options.get("owner", "")
    return job.description + (f" (owner: {owner})" if owner else "")
