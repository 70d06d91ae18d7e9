"""Class archives of the JVM servers: parsed classes in a file to be mapped, instead of read from jars at every start.

In a trial Kafka needed 2.7 s of processor time until its first answer with an archive, 4.4 s without, and 70 MB less
memory. A JVM writes its archive while it ends; `headrace down` takes it over when the JVM ended in good order. The key
holds the jars and the JVM, so that another version makes its own; a JVM that finds an archive unfit goes on without it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from headrace.local.install import JARS

GOOD_ENDS = {0, 143}  # by itself, or by SIGTERM after its shutdown hooks


def path(name: str, jars: Iterable[Path]) -> Path:
    """Where the archive of a server lies that runs these jars (folders or files) on this machine's Java."""
    return JARS / "archives" / f"{name}-{_key(tuple(jars))}.jsa"


def shell(archive: Path, made: Path) -> list[str]:
    """Shell lines that set $class_archive: use the archive when it is there, else write one to `made` in the end."""
    used, written = (
        f'class_archive="-XX:SharedArchiveFile={archive}"',
        f'class_archive="-XX:ArchiveClassesAtExit={made}"',
    )
    return [f'if [ -s "{archive}" ]; then {used}; else {written}; fi']


def take(archive: Path, made: Path, exit_status: int) -> None:
    """Moves a written archive to its place, unless its JVM was killed over it or another project was first."""
    if not made.exists():
        return
    if exit_status not in GOOD_ENDS or archive.exists():
        made.unlink()
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_name(f".{archive.name}.{os.getpid()}")
    shutil.move(made, part)
    part.replace(archive)


@cache
def _key(jars: tuple[Path, ...]) -> str:
    java = Path(shutil.which("java") or "java").resolve()
    files = sorted(file for place in jars for file in (place.rglob("*.jar") if place.is_dir() else (place,)))
    seen = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.exists()]
    return hashlib.sha256(repr((java, seen)).encode()).hexdigest()[:12]
