"""New files into a project: looked at before they are there, and written all or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.errors import HeadraceError, Problem
from headrace.errors import Place as At
from headrace.project.folder import FOLDERS, files
from headrace.project.inspect import inspect
from headrace.project.source_file import named_tables

_SEEN = ".headrace/observed"  # what check knows of columns that came later


def taken(root: Path, source: str) -> set[str]:
    """The names that tables of a source can't have: those of other sources' tables and of jobs."""
    there = [p for p in files(root, "lake/sources").paths if p.stem != source]
    jobs = [p.stem for folder in ("jobs/batch", "jobs/stream") for p in files(root, folder).paths]
    return {name for path in there for name in named_tables(path)} | set(jobs)


def problems(root: Path, new: Mapping[str, str]) -> tuple[Problem, ...]:
    """What `headrace check` would say with the new files and doesn't say without them; `new` is path → text.

    Looked at in a copy: the project itself is not touched.
    """
    with TemporaryDirectory(prefix="headrace-add-") as folder:
        copy = (Path(folder) / root.resolve().name).resolve()
        copy.mkdir()
        for part in ("headrace.yml", *FOLDERS, _SEEN):
            _copy(root / part, copy / part)
        before = {_known(p, copy) for p in inspect(copy)[1]}
        for path, text in new.items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_text(text, encoding="utf-8")
        return tuple(_here(p, copy, root) for p in inspect(copy)[1] if _known(p, copy) not in before)


def write(root: Path, new: Mapping[str, str], force: bool = False) -> None:
    """Writes the files, each at once, the last one first: a source comes behind its contracts.

    Raises HeadraceError, and leaves everything as it was, when a file is there (and `force` is not given) or can't be
    written.
    """
    there = [path for path in new if (root / path).exists() or (root / path).is_symlink()]
    if there and not force:
        hint = "--force writes it anew; what stands in it is lost"
        raise HeadraceError(*(Problem("this file is there already", At(root / path), hint) for path in there))
    ready: list[tuple[Path, Path]] = []
    done: list[tuple[Path, bytes | None]] = []
    try:
        for path, text in reversed(list(new.items())):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f".{target.name}.{os.getpid()}")
            ready.append((draft, target))
            draft.write_text(text, encoding="utf-8")
        for draft, target in ready:
            old = target.read_bytes() if target.exists() else None
            draft.replace(target)
            done.append((target, old))
    except OSError as error:
        for target, old in done:
            target.unlink() if old is None else target.write_bytes(old)
        raise HeadraceError(f"can't write {error.filename}: {error.strerror}", hint="nothing was written") from None
    finally:
        for draft, _ in ready:
            draft.unlink(missing_ok=True)


def _copy(old: Path, new: Path) -> None:
    if old.is_dir():
        shutil.copytree(old, new, symlinks=False, ignore_dangling_symlinks=True)
    elif old.is_file():
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(old, new)


def _known(problem: Problem, root: Path) -> tuple[str, str]:
    place = problem.place
    return problem.message, str(place.path.relative_to(root)) if place and place.path.is_relative_to(root) else ""


def _here(problem: Problem, copy: Path, root: Path) -> Problem:
    """The problem at the file's place in the project."""
    place = problem.place
    if not place or not place.path.is_relative_to(copy):
        return problem
    return replace(problem, place=replace(place, path=root / place.path.relative_to(copy)))
