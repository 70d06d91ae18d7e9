"""A project: every file of a folder read into frozen specs, checked against each other. Starts no engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.project.addresses import Addresses
from headrace.project.contract import Contract
from headrace.project.contract_file import read_contract
from headrace.project.job import Job
from headrace.project.job_file import read_job
from headrace.project.located import read
from headrace.project.settings import Settings, read_settings
from headrace.project.source import Source, Table
from headrace.project.source_file import read_source


@dataclass(frozen=True)
class Project:
    """What the folder says, less what is wrong in it; `problems` lists the rest."""

    root: Path
    settings: Settings
    sources: tuple[Source, ...]
    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...] = ()

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
    raise HeadraceError(f"no headrace.yml in {start} or above it", hint="headrace init DIR   makes a new project")


def load(root: Path) -> Project:
    """Reads a project. Files with mistakes are left out and their problems kept, so that the rest can go on working.

    Raises HeadraceError only when headrace.yml itself can't be read. `check(project)` turns the problems into an error.
    """
    root = root.resolve()
    settings = read_settings(root / "headrace.yml")
    problems: list[Problem] = []
    contracts: dict[str, Contract] = {}
    for path in _files(root, "schemas", "*.yaml"):
        contract = _try(problems, read_contract, path)
        if contract:
            contracts[contract.table] = contract
    sources = [s for p in _files(root, "lake/sources", "*.yml") if (s := _try(problems, read_source, p, contracts))]
    problems += _repeated_tables(sources)
    servers = {s.name for s in sources}
    for source in [s for s in sources if s.server and s.server not in servers]:
        sources.remove(source)
        problems.append(Problem(f"connection.source names no source: {source.server!r}", source.place, did_you_mean(source.server, servers)))
    jobs = []
    for kind in ("batch", "stream"):
        for path in (*_files(root, f"jobs/{kind}", "*.sql"), *_files(root, f"jobs/{kind}", "*.py")):
            job = _try(problems, read_job, path, kind)
            jobs += [job] if job else []
    tables = {t.name for s in sources for t in s.tables}
    good, wrong = _known_inputs(jobs, tables)
    return Project(root, settings, tuple(sources), tuple(good), (*problems, *wrong))


def check(project: Project) -> None:
    """Raises HeadraceError with every problem of the project; returns when there is none."""
    if project.problems:
        raise HeadraceError(*project.problems)


def _settings(path: Path) -> Settings:
    doc = read(path)
    try:
        return Settings.model_validate(doc.value)
    except ValidationError as error:
        problems = []
        for item in error.errors():
            hint = did_you_mean(str(item["loc"][-1]), Settings.model_fields) if item["type"] == "extra_forbidden" else ""
            message = f"{'.'.join(str(part) for part in item['loc'])}: {item['msg'].lower()}"
            problems.append(Problem(message, doc.place(*item["loc"]), hint))
        raise HeadraceError(*problems) from None


def _files(root: Path, folder: str, pattern: str) -> list[Path]:
    return sorted(p for p in (root / folder).glob(pattern) if not p.name.startswith(("_", ".")))


def _try(problems: list[Problem], reader, *arguments):  # noqa: ANN001, ANN202 - one helper for three readers
    try:
        return reader(*arguments)
    except HeadraceError as error:
        problems.extend(error.problems)
        return None


def _repeated_tables(sources: list[Source]) -> list[Problem]:
    seen: dict[str, Table] = {}
    problems = []
    for table in (t for s in sources for t in s.tables):
        if table.name in seen:
            problems.append(Problem(f"table {table.name!r} is also in source {seen[table.name].source!r}", table.place, "names are the project's: choose another"))
        seen.setdefault(table.name, table)
    return problems


def _known_inputs(jobs: list[Job], tables: set[str]) -> tuple[list[Job], list[Problem]]:
    views = {j.name for j in jobs if j.kind == "batch"}
    names: dict[str, Job] = {}
    good, problems = [], []
    for job in jobs:
        readable = tables | {f"{t}_changes" for t in tables}
        if job.kind == "batch":
            readable |= views - {job.name} | {f"{t}_history" for t in tables}
        else:
            readable -= tables  # a stream reads changes; the latest row per key is the lake's
        wrong = [
            Problem(f"{job.name} reads {i.name!r}, which is not there", i.place, did_you_mean(i.name, readable))
            for i in job.inputs
            if i.name not in readable
        ]
        if job.name in names or job.name in tables:
            hint = "tables and views share their names: choose another file name"
            wrong.append(Problem(f"there is already a view or table {job.name!r}", Place(job.path), hint))
        names.setdefault(job.name, job)
        problems += wrong
        good += [] if wrong else [job]
    return good, problems


def _named(kind: str, name: str, known: dict[str, object]):  # noqa: ANN202 - the caller's type
    if name not in known:
        raise HeadraceError(f"there is no {kind} {name!r}", hint=did_you_mean(name, known))
    return known[name]
