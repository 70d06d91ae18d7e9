"""Runs, views and checks as the serving database has them recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from headrace.audit.flow import batch_lag
from headrace.project import Project
from headrace.project.schedule import pause
from headrace.serve.database import connect

_ENDED = "state <> 'running'"
_RUNS = f"SELECT view, state, count(*) FROM ops.runs WHERE {_ENDED} GROUP BY view, state"
_LAST = f"""SELECT DISTINCT ON (view) view, state = 'failed', extract(epoch FROM finished_at - started_at)::float8,
  extract(epoch FROM finished_at)::float8 FROM ops.runs WHERE {_ENDED} ORDER BY view, started_at DESC"""
_BEGUN = """SELECT v.view, extract(epoch FROM clock_timestamp() - r.started_at)::float8
  FROM ops.views AS v JOIN ops.runs AS r USING (run_id)"""
_DEAD = (
    "SELECT job, kind, count(*) FROM ops.dead_jobs WHERE replayed_at IS NULL AND dropped_at IS NULL GROUP BY job, kind"
)
_QUALITY = """SELECT DISTINCT ON (table_name, definition) table_name, check_name, severity, passed
  FROM ops.quality WHERE passed IS NOT NULL ORDER BY table_name, definition, id DESC"""
_LAYERS = """SELECT DISTINCT ON (view) view, state <> 'different' FROM ops.reconciliation
  WHERE state <> 'unproven' ORDER BY view, id DESC"""
LATE = 1.25  # times the pause between two runs of a view, and
GRACE = 600.0  # seconds more: from then on what it shows is too old


def recorded(project: Project) -> Iterator[Metric]:
    """Runs by their end, the last one's duration and whether it failed; jobs given up; quality; layers."""
    with connect(project) as connection:
        yield _counter("runs", "Runs of a view by how they ended.", ("view", "state"), _rows(connection, _RUNS))
        last = _rows(connection, _LAST)
        yield _gauge("run_failed", "1 when the last run of a view failed.", ("view",), [(j, f) for j, f, *_ in last])
        yield _gauge("run_seconds", "How long the last run of a view took.", ("view",), [(j, s) for j, _, s, _ in last])
        ended = [(j, at) for j, _, _, at in last]
        yield _gauge("run_ended_timestamp_seconds", "When the last run of a view ended.", ("view",), ended)
        yield _gauge("dead_jobs", "Failed for good and not replayed since.", ("name", "kind"), _rows(connection, _DEAD))
        labels = ("table", "check", "severity")
        passed = [(t, c, s, int(p)) for t, c, s, p in _rows(connection, _QUALITY)]
        yield _gauge("quality_passed", "1 when a quality check passed at last, 0 when it failed.", labels, passed)
        equal = [(view, int(same)) for view, same in _rows(connection, _LAYERS)]
        yield _gauge("live_layers_equal", "0 when the layers of a live view differed at last.", ("view",), equal)
        begun = dict(_rows(connection, _BEGUN))
    yield from _freshness(project, begun)


def described(project: Project) -> Iterator[Metric]:
    """What belongs to whom, to be joined with: one row of value 1 per view."""
    rows = [(j.name, j.kind, j.options.get("owner", ""), str(j.live).lower(), 1) for j in project.jobs]
    yield _gauge("view_info", "Kind and owner of each view.", ("view", "kind", "owner", "live"), rows)
    yield _gauge(
        "problems", "Mistakes in the project's files, as `headrace check` finds them.", (), [(len(project.problems),)]
    )


def _freshness(project: Project, begun: dict[str, float]) -> Iterator[Metric]:
    """Of a view that lacks nothing 0, else the seconds since its published run began: so old is what it shows."""
    behind, stale, limits = [], [], []
    for job in project.jobs:
        if job.kind != "batch" or job.live:
            continue
        lag = batch_lag(project, job).behind
        behind.append((job.name, lag))
        stale.append((job.name, begun.get(job.name, 0.0) if lag else 0.0))
        limits.append((job.name, pause(job.schedule) * LATE + GRACE))
    yield _gauge("view_behind_positions", "Landed positions that a batch view does not cover.", ("view",), behind)
    yield _gauge("view_stale_seconds", "Age of what a batch view shows, 0 while it lacks nothing.", ("view",), stale)
    yield _gauge("view_stale_limit_seconds", "From when on that is too old, by its schedule.", ("view",), limits)


def _rows(connection: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query).fetchall()  # type: ignore[arg-type] - our own constant text
    except psycopg.errors.UndefinedTable:  # nothing was ever run here
        return []


def _gauge(name: str, said: str, labels: Sequence[str], rows: Sequence[Sequence[Any]]) -> Metric:
    return _filled(GaugeMetricFamily(f"headrace_{name}", said, labels=labels), rows)


def _counter(name: str, said: str, labels: Sequence[str], rows: Sequence[Sequence[Any]]) -> Metric:
    return _filled(CounterMetricFamily(f"headrace_{name}", said, labels=labels), rows)


def _filled(family: Any, rows: Sequence[Sequence[Any]]) -> Metric:
    for *labels, value in rows:
        family.add_metric([str(label) for label in labels], float(value))
    return family
