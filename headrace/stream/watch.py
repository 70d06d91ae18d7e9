"""How the jobs at Flink are, for `status`: state, restarts, age of the last checkpoint, late rows, last failure."""

from __future__ import annotations

import time
from typing import Any

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve import ops
from headrace.serve.database import connect
from headrace.stream import plan, record, speed
from headrace.stream.flink_rest import Flink, at_work

_LATE = "numLateRecordsDropped"


def list_jobs(project: Project) -> list[dict[str, object]]:
    """One row per stream job of the project (`kind` 'alert view'), then one per live view (`kind` 'live view') and one
    more for each further version of it whose speed job runs; changes nothing.

    `state`: RUNNING, RESTARTING, … as Flink says; STOPPED when `down` stopped it; LOST when it should run and doesn't;
    NEW when it never ran; UNKNOWN when Flink does not answer. `checkpoint_age` in seconds. `late`: rows that came after
    their window had closed, since the job last started; a speed job has none, for it counts rows whenever they come.
    """
    look = _Look(project)
    return look.alerts() + look.speeds()


class _Look:
    """What Flink and PostgreSQL say at one moment."""

    def __init__(self, project: Project) -> None:
        import psycopg

        self.project = project
        self.streams = [j for j in project.jobs if j.kind == "stream"]
        self.records: dict[str, record.Record | None] = {}
        self.versions: dict[str, str] = {}
        with connect(project) as connection:
            try:
                self.records = {j.name: record.read(connection, j.name) for j in self.streams}
                self.versions = ops.live_versions(connection)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                pass  # nothing was ever run here
        self.flink = Flink(project.addresses.flink_rest)
        try:
            self.jobs, self.known = self.flink.jobs(), True
        except HeadraceError:
            self.jobs, self.known = [], False

    def alerts(self) -> list[dict[str, object]]:
        running = {j["name"]: j for j in reversed(self.jobs)}
        rows = []
        for job in self.streams:
            kept = self.records.get(job.name) or record.Record(job.name)
            run = running.get(plan.flink_name(self.project, job))
            row = _row("alert view", job.name, kept.flink_job_id) | {"error": kept.error}
            if run:
                row |= {"flink_job_id": run["jid"], "state": run["state"], **_health(self.flink, run["jid"])}
                row["error"] = row["error"] or kept.error
            else:
                row["state"] = "STOPPED" if self.known and kept.state == "STOPPED" else self._absent(kept.flink_job_id)
            rows.append(row | {"note": kept.note})
        return rows

    def speeds(self) -> list[dict[str, object]]:
        running = speed.named(self.project, self.jobs)
        states = {j["jid"]: j["state"] for j in self.jobs}
        live = [j.name for j in self.project.jobs if j.kind == "batch" and j.live]
        # A view without a published version is listed by the jobs that fill its first one, if there are any.
        first = {name for name in live if name not in self.versions and any(of == name for of, _ in running)}
        wanted = [(name, self.versions.get(name, "")) for name in live if name not in first]
        rows = []
        for name, version in dict.fromkeys([*wanted, *sorted(running)]):
            job = running.get((name, version), "")
            row = _row("live view", name, job)
            if job:
                row |= {"state": states[job], **_health(self.flink, job), "late": None}
                row["note"] = "" if self.versions.get(name) == version else f"version {version}, not shown to readers"
            else:
                row["state"] = self._absent(version)
            rows.append(row)
        return rows

    def _absent(self, ran: str) -> str:
        return "UNKNOWN" if not self.known else "LOST" if ran else "NEW"


def _row(kind: str, job: str, flink_job_id: str) -> dict[str, object]:
    row: dict[str, object] = {"job": job, "kind": kind, "state": "", "flink_job_id": flink_job_id, "restarts": None}
    return row | {"checkpoint_age": None, "late": None, "error": "", "note": ""}


def _health(flink: Flink, job_id: str) -> dict[str, object]:
    try:
        details = flink.job(job_id) or {"vertices": []}
        metrics = flink.get(f"/jobs/{job_id}/metrics?get=numRestarts")
        done = (flink.checkpoints(job_id).get("latest") or {}).get("completed") or {}
        at = done.get("latest_ack_timestamp")
        restarts = int(float(metrics[0]["value"])) if metrics else 0
        late = sum(_late(flink, job_id, vertex["id"]) for vertex in details["vertices"])
        settled = at_work(details)
        state = {} if settled or details.get("state") != "RUNNING" else {"state": "STARTING"}
        error = "" if settled else flink.failure(job_id)
    except HeadraceError as error:
        return {"error": error.problems[0].message}
    return {
        "restarts": restarts,
        "checkpoint_age": round(time.time() - at / 1000, 1) if at else None,
        "late": late,
        "error": error,
        **state,
    }


def _late(flink: Flink, job_id: str, vertex: str) -> int:
    path = f"/jobs/{job_id}/vertices/{vertex}/subtasks/metrics"
    names = [m["id"] for m in flink.get(path) if m["id"].endswith(_LATE)]
    if not names:
        return 0
    values: list[dict[str, Any]] = flink.get(f"{path}?get={','.join(names)}")
    return sum(int(v.get("sum", 0)) for v in values)
