"""How the stream jobs are, for `status`: state, restarts, age of the last checkpoint, late rows, last failure."""

from __future__ import annotations

import time
from typing import Any

from headrace.errors import HeadraceError
from headrace.project import Project
from headrace.serve.database import connect
from headrace.stream import plan, record
from headrace.stream.flink_rest import Flink

_LATE = "numLateRecordsDropped"


def list_jobs(project: Project) -> list[dict[str, object]]:
    """One row per stream job of the project; changes nothing.

    `state`: RUNNING, RESTARTING, … as Flink says; STOPPED when `down` stopped it; LOST when it should run and doesn't;
    NEW when it never ran; UNKNOWN when Flink does not answer. `checkpoint_age` in seconds. `late`: rows that came after
    their window had closed, since the job last started.
    """
    jobs = [j for j in project.jobs if j.kind == "stream"]
    with connect(project) as connection:
        records = {j.name: record.read(connection, j.name) or record.Record(j.name) for j in jobs}
    flink = Flink(project.addresses.flink_rest)
    try:
        running = {j["name"]: j for j in reversed(flink.jobs())}
        known = True
    except HeadraceError:
        running, known = {}, False
    rows = []
    for job in jobs:
        kept, run = records[job.name], running.get(plan.flink_name(project, job))
        row: dict[str, object] = {
            "job": job.name,
            "state": "",
            "flink_job_id": kept.flink_job_id,
            "restarts": None,
            "checkpoint_age": None,
            "late": None,
            "error": kept.error,
        }
        if run:
            row |= {"flink_job_id": run["jid"], "state": run["state"], **_health(flink, run["jid"])}
            row["error"] = row["error"] or kept.error
        else:
            ran = "LOST" if kept.flink_job_id else "NEW"
            row["state"] = "UNKNOWN" if not known else "STOPPED" if kept.state == "STOPPED" else ran
        rows.append(row | {"note": kept.note})
    return rows


def _health(flink: Flink, job_id: str) -> dict[str, object]:
    try:
        details = flink.job(job_id) or {"vertices": []}
        metrics = flink.get(f"/jobs/{job_id}/metrics?get=numRestarts")
        done = (flink.checkpoints(job_id).get("latest") or {}).get("completed") or {}
        at = done.get("latest_ack_timestamp")
        restarts = int(float(metrics[0]["value"])) if metrics else 0
        late = sum(_late(flink, job_id, vertex["id"]) for vertex in details["vertices"])
        settled = all(v["status"] in {"RUNNING", "FINISHED"} for v in details["vertices"])
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
