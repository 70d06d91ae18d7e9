"""Where a stream job's state lies on disk: completed checkpoints and savepoints of the embedded Flink."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headrace.project import Job, Project
from headrace.stream.plan import checkpoints, savepoints

KEPT_SAVEPOINTS = 3


def newest(project: Project, job: Job, remembered: str) -> list[str]:
    """Paths to restore from, the newest first.

    A JobManager that was killed forgets its jobs, but not their checkpoints: a folder with a `_metadata` is complete.
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


def discard(project: Project, job: Job) -> None:
    """Removes all state of a job that is about to start without. It must not run."""
    for folder in (checkpoints(project, job), savepoints(project, job)):
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def prune(project: Project, job: Job, running: str, keep: str) -> None:
    """Removes checkpoints of earlier runs once the running one has its own, and all but the newest savepoints."""
    folder, kept = checkpoints(project, job), _local(keep)
    if folder is None or not folder.exists():
        return
    if any((folder / running).glob("chk-*/_metadata")):
        for run in folder.iterdir():
            if run.name != running and not (kept and kept.is_relative_to(run)):
                shutil.rmtree(run, ignore_errors=True)
    taken = savepoints(project, job)
    if taken and taken.exists():
        for old in sorted(taken.iterdir(), key=lambda p: -p.stat().st_mtime)[KEPT_SAVEPOINTS:]:
            if old != kept:
                shutil.rmtree(old, ignore_errors=True)


def _local(path: str) -> Path | None:
    parts = urlsplit(path)
    return Path(unquote(parts.path)) if path and parts.scheme in {"", "file"} else None
