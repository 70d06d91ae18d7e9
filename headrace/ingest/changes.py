"""Notices when the files that say what is landed were changed: headrace.yml, sources, contracts."""

from __future__ import annotations

from pathlib import Path

_FILES = ("headrace.yml", "lake/sources/*.yml", "schemas/*.yaml")


def stamp(root: Path) -> frozenset[tuple[str, int, int]]:
    """Every such file with its time and size; two stamps are equal when nothing was changed between."""
    found = []
    for pattern in _FILES:
        for path in root.glob(pattern):
            try:
                stat = path.stat()
            except OSError:  # it went away while we looked
                continue
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
