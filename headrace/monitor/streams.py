"""Jobs at Flink, sources and servers, as the platform's own looks at them say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from headrace.ingest import connectors, lag, limits, paused
from headrace.project import Project
from headrace.stream.watch import list_jobs


def jobs(project: Project) -> Iterator[Metric]:
    """Whether the jobs of alert views and live views run, how often they began anew, how old their checkpoint is."""
    labels = ("view", "kind")
    running = GaugeMetricFamily("headrace_stream_job_running", "1 while Flink runs the job.", labels=labels)
    restarts = GaugeMetricFamily("headrace_stream_job_restarts", "Restarts since the job was submitted.", labels=labels)
    age = GaugeMetricFamily(
        "headrace_stream_job_checkpoint_age_seconds", "Since the last completed checkpoint.", labels=labels
    )
    late = GaugeMetricFamily("headrace_stream_job_late_rows", "Rows that came after their window.", labels=labels)
    for row in list_jobs(project):
        key = (str(row["job"]), str(row["kind"]))
        if row["state"] == "STOPPED" or (row["state"] == "NEW" and not row["error"]):  # nobody wants it to run, or yet
            continue
        running.add_metric(key, float(row["state"] == "RUNNING"))
        for family, column in ((restarts, "restarts"), (age, "checkpoint_age"), (late, "late")):
            if row[column] is not None:
                family.add_metric(key, float(str(row[column])))
    yield from (running, restarts, age, late)


def sources(project: Project) -> Iterator[Metric]:
    """Of each captured source whether its database answers and its connector runs, what the database keeps for us, and
    how old what came is. Of one that is paused nothing, except where its log's limit paused it: nobody wanted that."""
    pauses = paused.read(project)
    wanted = {s.name for s in project.sources if (pause := pauses.source(s.name)) and pause.who != limits.WHO}
    captured = [s for s in project.sources if s.mode == "cdc" and s.name not in wanted]
    states = {s["source"]: s for s in connectors.states(project)} if captured else {}
    up = GaugeMetricFamily("headrace_source_running", "1 while database and connector work.", labels=("source",))
    held = GaugeMetricFamily("headrace_source_log_bytes", "Log that the database keeps for us.", labels=("source",))
    age = GaugeMetricFamily("headrace_source_delay_seconds", "Age of the newest change that came.", labels=("source",))
    for source in captured:
        state = states.get(source.name, {})
        runs = state.get("state") == "RUNNING" and set(state.get("tasks", [])) == {"RUNNING"}
        found = lag.measure(project, source)
        up.add_metric((source.name,), float(runs and not found.is_away))
        for family, value in ((held, found.held), (age, found.seconds)):
            if value is not None:
                family.add_metric((source.name,), float(value))
    yield from (up, held, age)


def servers(rows: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """Whether each server on this machine runs, and its memory; `rows` are those of `headrace status`."""
    up = GaugeMetricFamily("headrace_server_running", "1 while the server runs.", labels=("server",))
    uptime = GaugeMetricFamily("headrace_server_uptime_seconds", "Since it was started.", labels=("server",))
    memory = GaugeMetricFamily("headrace_server_memory_bytes", "Memory of a server.", labels=("server",))
    for row in rows:
        if row["state"] in {"external", "stopped"}:
            continue
        up.add_metric((row["server"],), float(row["state"] == "running"))
        if row["uptime"] is not None:
            uptime.add_metric((row["server"],), row["uptime"])
        if row["memory"] is not None:
            memory.add_metric((row["server"],), row["memory"] * 1e6)
    yield from (up, uptime, memory)
