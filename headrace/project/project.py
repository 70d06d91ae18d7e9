"""A project: every file of a folder read into frozen specs, checked against each other. Starts no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from headrace.errors import HeadraceError, Problem, did_you_mean
from headrace.project.addresses import Addresses
from headrace.project.contract import Contract
from headrace.project.contract_file import read_contract
from headrace.project.folder import astray, files
from headrace.project.graph import Names, good_jobs, repeated_tables, shared_servers
from headrace.project.job import Job
from headrace.project.job_file import read_job
from headrace.project.quality_file import reference_problems
from headrace.project.settings import Settings, read_settings
from headrace.project.source import Source, Table
from headrace.project.source_file import named_tables, read_source


@dataclass(frozen=True)
class Project:
    """What the folder says, less what is wrong in it; `problems` lists the rest."""

    root: Path
    settings: Settings
    sources: tuple[Source, ...]
    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...] = ()
    contracts: Mapping[str, Contract] = field(default_factory=dict, repr=False, hash=False)  # of tables and of views

    @cached_property
    def tables(self) -> dict[str, Table]:
        return {table.name: table for source in self.sources for table in source.tables}

    @cached_property
    def addresses(self) -> Addresses:
        return Addresses(self.root, self.settings, self.sources)

    @property
    def state(self) -> Path:
        """The folder for everything the platform keeps beside the lake: logs, pids, sockets, server data."""
        return self.root / ".headrace"

    def source(self, name: str) -> Source:
        return _named("source", name, {s.name: s for s in self.sources})

    def table(self, name: str) -> Table:
        return _named("table", name, self.tables)

    def part(self, name: str) -> tuple[Source, Table | None]:
        """The source that SOURCE names, or the source and table of SOURCE.TABLE. Raises HeadraceError for others."""
        word, _, table = name.partition(".")
        source = self.source(word)
        return source, _named(f"table of {word}", table, {t.name: t for t in source.tables}) if table else None

    def job(self, name: str, kind: str = "") -> Job:
        return _named("job", name, {j.name: j for j in self.jobs if kind in {"", j.kind}})

    def tables_behind(self, job: Job) -> tuple[Table, ...]:
        """Every landed table a job reads, directly or through other batch views, in order of name."""
        found: set[str] = set()
        seen: set[str] = set()
        open_jobs = [job]
        while open_jobs:
            for name in (i.name for i in open_jobs.pop().inputs):
                view = next((j for j in self.jobs if j.name == name and j.kind == "batch"), None)
                if view and name not in seen:
                    seen.add(name)
                    open_jobs.append(view)
        for each in (job, *(self.job(name, "batch") for name in seen)):
            found |= {t for i in each.inputs for t in (i.name, i.table) if t in self.tables}
        return tuple(self.tables[name] for name in sorted(found))


def find_root(start: Path) -> Path:
    """The project that holds the folder: the nearest one upwards with a headrace.yml."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "headrace.yml").exists():
            return folder
    hint = "headrace init DIR   makes a new project"
    raise HeadraceError(f"no headrace.yml in {start.resolve()} or above it", hint=hint)


def load(root: Path) -> Project:
    """Reads a project. Files with mistakes are left out and their problems kept, so that the rest can go on working.

    Raises HeadraceError only when headrace.yml itself can't be read. `check(project)` turns the problems into an error,
    `headrace.project.inspect` looks deeper.
    """
    root = root.resolve()
    return read_folder(root, read_settings(root / "headrace.yml"))


def read_folder(root: Path, settings: Settings) -> Project:
    """The project with these settings: every file read, each checked against the others. Never raises for a file."""
    problems: list[Problem] = astray(root)
    broken: dict[str, str] = {}  # table or view → its file that has mistakes, so that its readers can say so

    def read_all(folder: str, reader: Callable[[Path], Any]) -> list[Any]:
        found = files(root, folder)
        problems.extend(found.problems)
        good = []
        for path in found.paths:
            try:
                good.append(reader(path))
            except HeadraceError as error:
                problems.extend(error.problems)
                names = named_tables(path) if folder == "lake/sources" else (path.stem,)
                for name in names:
                    broken.setdefault(name, path.relative_to(root).as_posix())
                wrong_files.append(path)
        return good

    wrong_files: list[Path] = []
    contracts: dict[str, Contract] = {c.table: c for c in read_all("schemas", read_contract)}
    mistaken = frozenset(broken)
    sources: list[Source] = read_all(
        "lake/sources", lambda path: read_source(path, contracts, mistaken, settings.folders)
    )
    problems += repeated_tables(sources)
    sources, lost, wrong = shared_servers(sources, [p.stem for p in wrong_files if p.suffix == ".yml"])
    problems += wrong
    for source in lost:
        broken |= {t.name: source.place.path.relative_to(root).as_posix() for t in source.tables}
    jobs: list[Job] = []
    for kind in ("batch", "stream"):
        jobs += read_all(f"jobs/{kind}", lambda path, kind=kind: read_job(path, kind))
    tables = {t.name: t for s in sources for t in s.tables}
    problems += reference_problems(contracts, tables, broken)
    good, others = good_jobs(jobs, Names(tables, contracts, broken))
    return Project(root, settings, tuple(sources), tuple(good), (*problems, *others), contracts)


def check(project: Project) -> None:
    """Raises HeadraceError with every problem of the project; returns when there is none."""
    if project.problems:
        raise HeadraceError(*project.problems)


Known = TypeVar("Known")


def _named(kind: str, name: str, known: Mapping[str, Known]) -> Known:
    if name not in known:
        raise HeadraceError(f"there is no {kind} {name!r}", hint=did_you_mean(name, known))
    return known[name]
