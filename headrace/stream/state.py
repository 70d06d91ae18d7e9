"""Where a stream job's state lies on disk: completed checkpoints and savepoints of the embedded Flink."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headrace.project import Job, Project
from headrace.stream.plan import checkpoints, savepoints

KEPT_SAVEPOINTS = 3
GIVEN_UP = ".given-up"  # no job is called so


def newest(project: Project, job: Job, remembered: str) -> list[str]:
    """Paths to restore from, the newest first.

    A job that was cancelled, or forgotten, leaves its checkpoints: a folder with a `_metadata` is complete.
    `remembered` is the path in ops.stream_jobs; on a cluster that is not ours it is all we know.
    """
    folder = checkpoints(project, job)
    if folder is None:
        return [remembered] if remembered else []
    found = {p.parent.resolve(): p.stat().st_mtime for p in folder.glob("*/chk-*/_metadata")}
    local = _local(remembered)
    if local and (local / "_metadata").exists():
        found.setdefault(local.resolve(), (local / "_metadata").stat().st_mtime)
    return [p.as_uri() for p, _ in sorted(found.items(), key=lambda item: -item[1])]


def give_up(project: Project, job: Job) -> None:
    """Moves all state of a job aside, in place of what was there: it starts without. It must not run."""
    for folder in (checkpoints(project, job), savepoints(project, job)):
        if folder and folder.exists():
            aside = folder.with_name(f"{job.name}{GIVEN_UP}")
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)


def prune(project: Project, job: Job, running: str) -> None:
    """Removes checkpoints of earlier runs once the running one has its own, and all but the newest savepoints."""
    folder, taken = checkpoints(project, job), savepoints(project, job)
    if folder and any((folder / running).glob("chk-*/_metadata")):
        for run in folder.iterdir():
            if run.name != running:
                shutil.rmtree(run, ignore_errors=True)
    if taken and taken.exists():
        for old in sorted(taken.iterdir(), key=lambda p: -p.stat().st_mtime)[KEPT_SAVEPOINTS:]:
            shutil.rmtree(old, ignore_errors=True)


def _local(path: str) -> Path | None:
    parts = urlsplit(path)
    return Path(unquote(parts.path)) if path and parts.scheme in {"", "file"} else None
