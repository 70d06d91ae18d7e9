"""Runs, views and checks as the serving database has them recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from headrace.audit.flow import batch_lag
from headrace.project import Project
from headrace.project.schedule import pause
from headrace.serve import ops, reconciliation
from headrace.serve.database import connect

_ENDED = "state <> 'running'"
_RUNS = f"SELECT view, state, count(*) FROM ops.runs WHERE {_ENDED} GROUP BY view, state"
_LAST = f"""SELECT DISTINCT ON (view) view, state = 'failed', extract(epoch FROM finished_at - started_at)::float8,
  extract(epoch FROM finished_at)::float8 FROM ops.runs WHERE {_ENDED} ORDER BY view, started_at DESC"""
_BEGUN = """SELECT v.view, extract(epoch FROM clock_timestamp() - r.started_at)::float8
  FROM ops.views AS v JOIN ops.runs AS r USING (run_id)"""
_TOOK = f"""SELECT DISTINCT ON (view) view, extract(epoch FROM finished_at - started_at)::float8 FROM ops.runs
  WHERE {_ENDED} AND state = 'succeeded' ORDER BY view, started_at DESC"""
_QUALITY = """SELECT table_name, check_name, severity, definition, (SELECT r.passed FROM ops.quality AS r
    WHERE r.table_name = q.table_name AND r.definition = q.definition AND r.passed IS NOT NULL
    ORDER BY r.id DESC LIMIT 1)
  FROM (SELECT DISTINCT ON (table_name, definition) * FROM ops.quality ORDER BY table_name, definition, id DESC) AS q"""
_DIFFER = f"SELECT DISTINCT view FROM {reconciliation.ALERTS} WHERE is_open"
LATE = 1.25  # times the pause between two runs of a view, and
GRACE = 600.0  # seconds and a run more: from then on it lacks what landed for too long


class Views:
    """Looks again and again, and remembers since when each view lacks something."""

    def __init__(self) -> None:
        self._lacks: dict[str, float] = {}  # view → when it was first seen to lack what landed (Unix seconds)

    def collect(self, project: Project) -> Iterator[Metric]:
        """How far each batch view is behind, for how long, and from when on that is too long.

        The age of what a view shows is counted from the start of its published run, but never from before the first
        look at which it lacked anything: what nobody wrote for days does not make a view old.
        """
        with connect(project) as connection:
            begun, took = dict(_rows(connection, _BEGUN)), dict(_rows(connection, _TOOK))
        now, behind, stale, limits = time.time(), [], [], []
        for job in project.jobs:
            if job.kind != "batch" or job.live:
                continue
            lag = batch_lag(project, job).behind
            if not lag:
                self._lacks.pop(job.name, None)
            lacks = now - self._lacks.setdefault(job.name, now) if lag else 0.0
            behind.append((job.name, lag))
            stale.append((job.name, min(lacks, begun.get(job.name, lacks))))
            limits.append((job.name, pause(job.schedule) * LATE + GRACE + took.get(job.name, 0.0)))
        yield _gauge("view_behind_positions", "Landed positions that a batch view does not cover.", ("view",), behind)
        yield _gauge("view_stale_seconds", "For how long a batch view has lacked what landed.", ("view",), stale)
        yield _gauge("view_stale_limit_seconds", "From when on that is too long.", ("view",), limits)


def recorded(project: Project) -> Iterator[Metric]:
    """Runs by their end, the last one's duration and whether it failed; jobs given up; quality; layers.

    Of checks only those that a contract has now, of views only those that there are: what was taken away has no state.
    """
    checks = {(table, c.definition) for table, contract in project.contracts.items() for c in contract.checks}
    live = [j.name for j in project.jobs if j.kind == "batch" and j.live]
    with connect(project) as connection:
        yield _counter("runs", "Runs of a view by how they ended.", ("view", "state"), _rows(connection, _RUNS))
        last = _rows(connection, _LAST)
        yield _gauge("run_failed", "1 when the last run of a view failed.", ("view",), [(j, f) for j, f, *_ in last])
        yield _gauge("run_seconds", "How long the last run of a view took.", ("view",), [(j, s) for j, _, s, _ in last])
        ended = [(j, at) for j, _, _, at in last]
        yield _gauge("run_ended_timestamp_seconds", "When the last run of a view ended.", ("view",), ended)
        dead = [(row["job"], row["kind"], row["times"]) for row in ops.dead_jobs(project)]
        yield _gauge("dead_jobs", "Failed for good and not replayed since.", ("name", "kind"), dead)
        labels = ("table", "check", "severity")
        found = [row for row in _rows(connection, _QUALITY) if (row[0], row[3]) in checks and row[4] is not None]
        passed = sorted({(t, c, s): int(p) for t, c, s, _, p in found}.items())
        yield _gauge(
            "quality_passed",
            "1 when a quality check passed at last, 0 when it failed.",
            labels,
            [(*k, p) for k, p in passed],
        )
        differ = {view for (view,) in _rows(connection, _DIFFER)}
        equal = [(view, int(view not in differ)) for view in live]
        yield _gauge("live_layers_equal", "0 when the layers of a live view differed at last.", ("view",), equal)


def described(project: Project) -> Iterator[Metric]:
    """What belongs to whom, to be joined with: one row of value 1 per view."""
    rows = [(j.name, j.kind, j.options.get("owner", ""), str(j.live).lower(), 1) for j in project.jobs]
    yield _gauge("view_info", "Kind and owner of each view.", ("view", "kind", "owner", "live"), rows)
    yield _gauge(
        "problems", "Mistakes in the project's files, as `headrace check` finds them.", (), [(len(project.problems),)]
    )


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
