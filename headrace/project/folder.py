"""The files of a project folder: which are read, and which look as if they should be and are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import Place, Problem

# folder → the endings of files that are read there, and what they are
FOLDERS = {
    "schemas": ((".yaml",), "contracts"),
    "lake/sources": ((".yml",), "sources"),
    "jobs/batch": ((".sql", ".py"), "batch jobs"),
    "jobs/stream": ((".sql", ".py"), "stream jobs"),
}
_BESIDE = {".md", ".txt", ".csv", ".json"}  # notes and data beside a job are nobody's mistake
_TWINS = {".yml": ".yaml", ".yaml": ".yml"}


@dataclass(frozen=True)
class Files:
    """What is read from one folder, and a problem for each file that is not and should be."""

    paths: tuple[Path, ...]
    problems: tuple[Problem, ...]


def files(root: Path, folder: str) -> Files:
    """The files of one of FOLDERS in order of their names; a file linked from outside the project is a problem."""
    endings, what = FOLDERS[folder]
    paths, problems = [], []
    for path in _entries(root / folder):
        if path.suffix in endings:
            target = path.resolve()
            if not target.is_relative_to(root.resolve()):
                hint = "copy it into the project: what runs must be what is in its history"
                problems.append(Problem("this is a link to a file outside the project", Place(path), hint))
            else:
                paths.append(path)
        elif path.is_dir():
            problems += [
                Problem(
                    f"{what} are read from {folder}/ only, not from folders in it",
                    Place(inner),
                    f"move it to {folder}/",
                )
                for inner in _entries(path)
                if inner.suffix in endings
            ]
        elif path.suffix.lower() not in _BESIDE:
            ending = path.suffix.lower() if path.suffix.lower() in endings else _TWINS.get(path.suffix.lower())
            hint = f"rename it to {path.stem}{ending}" if ending in endings else "rename it, or move it elsewhere"
            problems.append(Problem(f"this file is not read: {what} end in {' or '.join(endings)}", Place(path), hint))
    return Files(tuple(paths), tuple(problems))


def astray(root: Path) -> list[Problem]:
    """Jobs that lie one folder too high."""
    return [
        Problem("a job lies in jobs/batch/ or in jobs/stream/", Place(path), "the folder says which engine runs it")
        for path in _entries(root / "jobs")
        if path.is_file() and path.suffix in {".sql", ".py"}
    ]


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(p for p in folder.iterdir() if not p.name.startswith(("_", ".")) and not p.name.endswith("~"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
