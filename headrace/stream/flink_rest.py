"""A small client of Flink's JobManager (REST): which jobs run, how they are, and how to stop them."""

from __future__ import annotations

import time
from typing import Any

import httpx

from headrace.errors import HeadraceError
from headrace.stream.mistakes import root_cause

ENDED = {"FINISHED", "CANCELED", "FAILED"}  # Flink's spelling; SUSPENDED jobs come back
_PAUSE = 0.1
_TAKEN_UP = 30.0  # seconds


class Flink:
    """The JobManager at an address. Methods raise HeadraceError when it does not answer."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.client = httpx.Client(timeout=30.0, trust_env=False)

    def jobs(self, name: str = "") -> list[dict[str, Any]]:
        """Jobs that have not ended, newest first: `jid`, `name`, `state`, `start-time`; of one name if given."""
        found = self.get("/jobs/overview")["jobs"]
        alive = [j for j in found if j["state"] not in ENDED and name in ("", j["name"])]
        return sorted(alive, key=lambda j: -j["start-time"])

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A job's details, also after its end; None when the JobManager does not know it (any more)."""
        answer = self._send("GET", f"/jobs/{job_id}")
        return answer.json() if answer.is_success else None

    def settled(self, job_id: str, timeout: float) -> str:
        """Waits until every task of the job runs, which means that its state is restored; returns '' or the root cause.

        A job that is restarting, or still has no slot when the time is over, also comes back with its cause.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            job = self.job(job_id)
            if job is None:
                return "the JobManager lost the job"
            tasks = [v["status"] for v in job["vertices"]]
            if job["state"] == "RUNNING" and all(status in {"RUNNING", "FINISHED"} for status in tasks):
                return ""
            if job["state"] in ENDED | {"FAILING", "RESTARTING"}:
                cause = self.failure(job_id)
                if cause:
                    return cause
            time.sleep(_PAUSE)
        return self.failure(job_id) or "no free task slot: the job waits for one"

    def code(self, job_id: str) -> str:
        """The code version that the job was submitted with ('' when it carries none)."""
        return self.parameter(job_id, "headrace.code")

    def parameter(self, job_id: str, name: str) -> str:
        """A parameter that the job was submitted with ('' when it carries none of the name).

        Waits for a job that a JobManager which was started anew is only taking up again: it tells none so far.
        """
        end = time.monotonic() + _TAKEN_UP
        while True:
            answer = self._send("GET", f"/jobs/{job_id}/config")
            user = answer.json().get("execution-config", {}).get("user-config", {}) if answer.is_success else {}
            if name in user or time.monotonic() > end or (self.job(job_id) or {}).get("state") != "INITIALIZING":
                return str(user.get(name, ""))
            time.sleep(_PAUSE)

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """Statistics: `counts`, and `latest` with the last completed, failed and restored one."""
        answer = self._send("GET", f"/jobs/{job_id}/checkpoints")
        return answer.json() if answer.is_success else {}

    def failure(self, job_id: str) -> str:
        """The root cause of the job's last failure as one line; '' when it never failed."""
        answer = self._send("GET", f"/jobs/{job_id}/exceptions?maxExceptions=1")
        entries = answer.json().get("exceptionHistory", {}).get("entries", []) if answer.is_success else []
        return root_cause(entries[0]["stacktrace"]) if entries else ""

    def cancel(self, job_id: str, timeout: float = 30.0) -> None:
        """Cancels a job and waits until it has ended; its last retained checkpoint stays."""
        self._send("PATCH", f"/jobs/{job_id}?mode=cancel")
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            job = self.job(job_id)
            if job is None or job["state"] in ENDED:
                return
            time.sleep(_PAUSE)
        raise HeadraceError(
            f"Flink did not cancel job {job_id} within {timeout:.0f} s", hint="headrace logs flink-jobmanager"
        )

    def savepoint(self, job_id: str, folder: str = "", stop: bool = False, timeout: float = 60.0) -> str:
        """Takes a savepoint, and stops the job with it if asked; returns its path.

        Raises HeadraceError with the cause; a job that was to stop then still runs or has ended (see `job`).
        """
        body: dict[str, object] = {"formatType": "NATIVE", **({"drain": False} if stop else {"cancel-job": False})}
        if folder:
            body["targetDirectory" if stop else "target-directory"] = folder
        answer = self._send("POST", f"/jobs/{job_id}/{'stop' if stop else 'savepoints'}", json=body)
        if answer.is_error:
            raise HeadraceError(f"Flink takes no savepoint of job {job_id}: {_reason(answer)}")
        trigger = answer.json()["request-id"]
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            answer = self._send("GET", f"/jobs/{job_id}/savepoints/{trigger}")
            if answer.is_error:
                raise HeadraceError(f"Flink lost the savepoint of job {job_id}: {_reason(answer)}")
            found = answer.json()
            if found["status"]["id"] == "COMPLETED":
                cause = found["operation"].get("failure-cause")
                if cause:
                    raise HeadraceError(f"the savepoint of job {job_id} failed: {root_cause(cause['stack-trace'])}")
                return str(found["operation"]["location"])
            time.sleep(_PAUSE)
        raise HeadraceError(f"the savepoint of job {job_id} did not end within {timeout:.0f} s")

    def get(self, path: str) -> Any:
        """The JSON at a path; raises HeadraceError when Flink answers with an error."""
        answer = self._send("GET", path)
        if answer.is_error:
            raise HeadraceError(f"Flink says to {path}: {_reason(answer)}")
        return answer.json()

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self.client.request(method, self.address + path, **arguments)
        except httpx.HTTPError as error:
            hint = "headrace status   shows whether it runs, headrace logs flink-jobmanager   why not"
            raise HeadraceError(f"Flink's JobManager does not answer at {self.address}: {error}", hint=hint) from error


def at_work(job: dict[str, Any]) -> bool:
    """Whether every task of a job, as `Flink.job` tells of it, runs or has done its work."""
    return all(vertex["status"] in {"RUNNING", "FINISHED"} for vertex in job.get("vertices", []))


def _reason(answer: httpx.Response) -> str:
    try:
        errors = answer.json().get("errors", [])
    except ValueError:
        return f"HTTP {answer.status_code}"
    return root_cause("\n".join(str(e) for e in errors)) or f"HTTP {answer.status_code}"
