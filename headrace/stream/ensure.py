"""Makes a stream job run as its file says, stops it, and says how far it is. `up`, `run` and the job's DAG call it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError
from headrace.ingest import topics
from headrace.project import Job, Project
from headrace.project.personal import personal
from headrace.serve import masks, schema
from headrace.serve.database import locked
from headrace.sql.flink import SHADED
from headrace.stream import offsets, plan, record, state, tables
from headrace.stream.flink_rest import Flink
from headrace.stream.prepared import Prepared, prepared
from headrace.stream.record import Record
from headrace.stream.sink import jdbc, sink_of

if TYPE_CHECKING:
    import psycopg

SETTLE_SECONDS = 60.0
SUFFIXES = (".sql", ".py")
# Causes that say the state itself can't be used; anything else (a server is down) may pass, and the state must stay.
_UNFIT = re.compile(
    "StateMigration|Could not restore|Failed to (?:restore|rollback)|Cannot (?:map|find) (?:checkpoint|savepoint)"
    "|FileNotFound|NoSuchFile|EOFException|magic number|StreamCorrupted|InvalidClass"
)


def ensure(project: Project, job: Job | str, restart: bool = False, full: bool = False) -> dict[str, object]:
    """Makes the job run as its file says; idempotent, and safe to call from several places at once.

    * It runs with this code: nothing is done (unless `restart`).
    * It does not run: it starts from its newest savepoint or checkpoint, the first time from its topics' beginning.
    * Its code changed: the query is checked first, then the old run stops with a savepoint and the new one starts from
      it. State that no longer fits is given up: the job goes on at the offsets of the last checkpoint with nothing
      remembered from before them. No row is read twice or skipped; windows that were open then are incomplete.
    * `full`: it starts from the beginning of its topics, its alert table emptied.
    Returns what was done: `job`, `action`, `flink_job_id`, `state`, `from` and `note`; ops.stream_jobs says the same.
    Raises HeadraceError for a mistake in the job (a running older version goes on) and when a server does not answer.
    """
    job = _job(project, job)
    schema.ensure(project)
    with locked(project, f"stream {job.name}") as connection:
        return _Ensure(project, job, connection).run(restart, full)


def stop(project: Project, job: Job | str) -> dict[str, object]:
    """Stops the job with a savepoint, which the next `ensure` starts from.

    A job that can't take one is cancelled: it will start from its last checkpoint, and alerts since then come again
    under the same keys.
    """
    job = _job(project, job)
    with locked(project, f"stream {job.name}") as connection:
        return _Ensure(project, job, connection).stop()


def savepoint(project: Project, job: Job | str) -> str:
    """Takes a savepoint of the running job and remembers its path; the newest three are kept."""
    job = _job(project, job)
    with locked(project, f"stream {job.name}") as connection:
        return _Ensure(project, job, connection).savepoint()


def positions(project: Project, job: Job | str) -> dict[tuple[str, int], int]:
    """(topic, partition) → next offset not covered by the job's last completed checkpoint.

    Guarantee: the effect of every earlier record is in the alert table, except for rows that wait for event time.
    """
    return offsets.committed(project, _job(project, job))


def retire(project: Project) -> list[str]:
    """Stops, with a savepoint, jobs of this project whose file is gone; returns their names. Their alerts stay."""
    running = Flink(project.addresses.flink_rest).jobs()
    retired = sorted({plan.job_name(project, job["name"]) for job in orphans(project, running)})
    for name in retired:
        stop(project, Job(name, "stream", "sql", project.root / "jobs" / "stream" / f"{name}.sql", ""))
    return retired


def orphans(project: Project, running: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of Flink's running jobs that are this project's and whose file is gone."""
    folder, prefix = project.root / "jobs" / "stream", plan.flink_name(project, "")
    ours = [job for job in running if job["name"].startswith(prefix)]
    return [j for j in ours if not any((folder / f"{plan.job_name(project, j['name'])}{s}").exists() for s in SUFFIXES)]


class _Ensure:
    def __init__(self, project: Project, job: Job, connection: psycopg.Connection) -> None:
        self.project, self.job, self.connection = project, job, connection
        self.flink = Flink(project.addresses.flink_rest)
        self.record = record.read(connection, job.name) or Record(job.name)
        self.notes: list[str] = []

    def run(self, restart: bool, full: bool) -> dict[str, object]:
        version = plan.code_version(self.project, self.job)
        running = self._only_run()
        has_table = tables.exists(self.connection, self.job.name)
        if running and has_table and not restart and not full and self.flink.code(running) == version:
            return self._nothing(running, version)
        with self._checked() as ready:
            sink = sink_of(self.job, ready.columns, personal(self.project, self.job))
            tables.check_names(self.connection, self.job, sink)
            addresses = self.project.addresses
            ready.sinks(sink.statements(addresses.bus_java(SHADED), *jdbc(addresses.serving("writer"))))
            changed = bool(self.record.code_version) and self.record.code_version != version
            shape = self.record.shape
            if changed or not shape:  # else it was examined when it first ran; planning is most of a start's time
                explained = ready.explain()
                plan.check_key(self.job, explained)
                shape = plan.shape(explained)
            fits = not self.record.shape or self.record.shape == shape
            if running:
                self._stop_run(running, with_savepoint=not full)
            topics.ensure(self.project)
            done = tables.ensure_table(self.connection, sink)
            self.notes += [done] if done and done != "created" else []
            if full or done == "created":
                self._begin_again()
            elif not fits:
                state.give_up(self.project, self.job)
                self.record = replace(self.record, savepoint="")
            self._write(code_version=version, shape=shape)
            return self._start(ready, full or done == "created", changed, fits)

    def stop(self) -> dict[str, object]:
        running = self._only_run()
        if running:
            self._stop_run(running, with_savepoint=True)
        self._write(state="STOPPED", note="; ".join(self.notes))
        return self._answer("stopped" if running else "was not running", "")

    def savepoint(self) -> str:
        running = self._only_run()
        if not running:
            raise HeadraceError(f"{self.job.name} does not run", hint=f"headrace run {self.job.name}")
        folder = plan.savepoints(self.project, self.job)
        path = self.flink.savepoint(running, folder.as_uri() if folder else "")
        self._write(savepoint=path)
        state.prune(self.project, self.job, running)
        return path

    def _checked(self):
        return _recording(self, prepared(self.project, self.job))

    def _start(self, ready: Prepared, fresh: bool, changed: bool, fits: bool) -> dict[str, object]:
        choices = [] if fresh or not fits else state.newest(self.project, self.job, self.record.savepoint)
        for path in choices:
            job_id, cause = self._submit(ready, path)
            if cause and _UNFIT.search(cause):
                self.notes.append(f"the state at {path} can't be used: {self._for_readers(cause)}")
                self.flink.cancel(job_id)
                continue
            return self._started(job_id, cause, "restarted with new code, state kept" if changed else "restored", path)
        if choices:
            state.give_up(self.project, self.job)
        known = not fresh and offsets.committed(self.project, self.job)
        job_id, cause = self._submit(ready, "")
        if not known:
            return self._started(job_id, cause, "started from the beginning", "")
        self.notes.append(
            "nothing is remembered from before the last checkpoint's offsets: windows open then are incomplete"
        )
        return self._started(
            job_id, cause, "restarted with new code, without state" if changed else "restarted without state", ""
        )

    def _submit(self, ready: Prepared, path: str) -> tuple[str, str]:
        try:
            job_id = ready.submit(path)
        except HeadraceError as error:
            if path and _UNFIT.search(error.problems[0].message):
                return "", error.problems[0].message
            raise
        self._write(flink_job_id=job_id, state="STARTING", savepoint=path)
        return job_id, self.flink.settled(job_id, SETTLE_SECONDS)

    def _started(self, job_id: str, cause: str, action: str, path: str) -> dict[str, object]:
        self._write(state="FAILING" if cause else "RUNNING", error=cause, note="; ".join([action, *self.notes]))
        return self._answer(action, path)

    def _nothing(self, running: str, version: str) -> dict[str, object]:
        cause = self.flink.settled(running, 1.0)
        healthy = replace(
            self.record,
            flink_job_id=running,
            code_version=version,
            state="FAILING" if cause else "RUNNING",
            error=cause,
        )
        if healthy != self.record or self.notes:
            self._write(
                **{n: getattr(healthy, n) for n in ("flink_job_id", "code_version", "state", "error")},
                note="; ".join([*self.notes, "running"]),
            )
        state.prune(self.project, self.job, running)
        return self._answer("none", "")

    def _begin_again(self) -> None:
        offsets.forget(self.project, self.job)
        state.give_up(self.project, self.job)
        tables.empty(self.connection, self.job.name)
        self.record = replace(self.record, savepoint="")

    def _only_run(self) -> str:
        """The id of the job's one run; a second one, left by a race or by hand, is cancelled."""
        runs = [j["jid"] for j in self.flink.jobs(plan.flink_name(self.project, self.job))]
        if not runs:
            return ""
        kept = self.record.flink_job_id if self.record.flink_job_id in runs else runs[0]
        for other in runs:
            if other != kept:
                self.flink.cancel(other)
                self.notes.append(f"cancelled a second run ({other})")
        return kept

    def _stop_run(self, running: str, with_savepoint: bool) -> None:
        if with_savepoint:
            folder = plan.savepoints(self.project, self.job)
            try:
                self._write(savepoint=self.flink.savepoint(running, folder.as_uri() if folder else "", stop=True))
                return
            except HeadraceError as error:
                reason = self._for_readers(error.problems[0].message)
                self.notes.append(f"{reason}; cancelled, its last checkpoint counts")
                external = (self.flink.checkpoints(running).get("latest") or {}).get("completed") or {}
                if plan.checkpoints(self.project, self.job) is None and external.get("external_path"):
                    self._write(savepoint=external["external_path"])
        self.flink.cancel(running)

    def _write(self, **changes: str) -> None:
        self.record = replace(self.record, **changes)
        record.write(self.connection, replace(self.record, error=self._for_readers(self.record.error)))

    def _for_readers(self, text: str) -> str:
        return masks.for_readers(self.connection, self.project, self.job.name, text)

    def _answer(self, action: str, path: str) -> dict[str, object]:
        r = self.record
        return {
            "job": self.job.name,
            "action": action,
            "flink_job_id": r.flink_job_id,
            "state": r.state,
            "from": path,
            "note": "; ".join(self.notes),
            "error": r.error,
        }


class _recording:
    """Enters a prepared query and writes a mistake in it into ops.stream_jobs, where `status` shows it."""

    def __init__(self, ensure: _Ensure, inner) -> None:
        self.ensure, self.inner = ensure, inner

    def __enter__(self) -> Prepared:
        try:
            return self.inner.__enter__()
        except HeadraceError as error:
            self._note(error)
            raise

    def __exit__(self, kind, error, trace) -> bool | None:
        if isinstance(error, HeadraceError):
            self._note(error)
        return self.inner.__exit__(kind, error, trace)

    def _note(self, error: HeadraceError) -> None:
        self.ensure._write(error=error.problems[0].render(self.ensure.project.root))


def _job(project: Project, job: Job | str) -> Job:
    return project.job(job, "stream") if isinstance(job, str) else job
