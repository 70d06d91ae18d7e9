"""`headrace status`: the servers, and how far the data has come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.context import Format, project, show

if TYPE_CHECKING:
    from headrace.ingest.lag import LogLag

NEEDED = {"bus", "connect", "landing", "postgres"}  # without them nobody can say how far the data has come


def command(
    format: Annotated[
        Format,
        typer.Option(help="json: one object with `servers`, `flow`, `jobs`, `sources`, `alerts` and `caught_up`."),
    ] = Format.table,
    servers: Annotated[bool, typer.Option("--servers", help="Only the servers; quick, and writes no markers.")] = False,
) -> None:
    """Show each server, then each table, view and alert: how many positions behind the sources it is (0: caught up),
    then how the jobs of alert views and of live views are at Flink."""
    from headrace.local import platform

    here = project()
    rows = platform.status(here)
    running = {str(r["server"]) for r in rows if r["state"] in {"running", "external"}}
    known = {str(r["server"]) for r in rows}
    flow: list[dict[str, object]] = []
    if not servers and NEEDED & known <= running:
        from headrace.audit.flow import flow as measured

        flow = measured(here)
    logs: list[dict[str, object]] = []
    jobs: list[dict[str, object]] = []
    if flow:
        from headrace.ingest.lag import measure
        from headrace.stream.watch import list_jobs

        logs = [_log(measure(here, source)) for source in here.sources if source.mode == "cdc"]
        jobs = list_jobs(here)
    alerts: list[dict[str, object]] | None = None
    if not servers and "alertmanager" in running:
        from headrace.monitor.firing import firing

        alerts = firing(here)
    caught_up = bool(flow) and not any(row["behind"] for row in flow)
    held = [str(row["name"]) for row in flow if row["paused"]]
    waits = any(row["behind"] and not row["paused"] for row in flow)
    if format is Format.json:
        found = {"servers": rows, "flow": flow, "jobs": jobs, "sources": logs, "caught_up": caught_up}
        found |= {} if alerts is None else {"alerts": alerts}
        print(json.dumps(found, default=str, indent=2))
        return
    show([row | {"uptime": _duration(row["uptime"]), "memory": _megabytes(row["memory"])} for row in rows], format)
    if flow:
        print()
        show(flow, format, ("stage", "name", "behind", "note"))
        if jobs:
            print()
            show(jobs, format, ("kind", "job", "state", "restarts", "checkpoint_age", "error", "note"))
        print("\nnot everything is caught up: `headrace wait` waits for it" if waits else "\neverything is caught up")
        for log in logs:
            print(f"source {log['source']}: {log['said']}")
        if held:
            print(f"but paused: {', '.join(held)}; `headrace resume NAME` lets it go on")
    elif not servers:
        print(f"\nnot running: {', '.join(sorted(NEEDED & known - running))}; `headrace up` starts what is missing")
    if alerts is not None:
        print("\nno alert is open" if not alerts else "\nopen alerts:")
        if alerts:
            show(alerts, format, ("severity", "alert", "about", "since", "summary"))


def _log(found: LogLag) -> dict[str, object]:
    """A source's log: what its database keeps of it for us, and the age of what came last."""
    said = "; ".join(filter(None, [found.text, found.wrong]))
    return {"source": found.source, "log_bytes": found.held, "log_seconds": found.seconds, "said": said}


def _duration(seconds: object) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(str(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _megabytes(number: object) -> str:
    return "" if number is None else f"{number} MB"
