"""Which columns of a view hold personal values: from the tags in the contracts, through every view between.

A column is personal when its contract says `tags: [personal]` or `classification: personal`. In SQL jobs it is traced
into the result (headrace.sql.lineage). A Python job can't be read that closely: a column of its result is personal when
it has the name of a personal column of one of its inputs. A view may have a contract of its own, and a tag there counts
too: that is the way to say it for a Python job that renames.
"""

from __future__ import annotations

from dataclasses import replace

from headrace.project.contract import Contract
from headrace.project.job import Input, Job
from headrace.project.project import Project
from headrace.sql.batch_query import examine_batch
from headrace.sql.columns import Columns
from headrace.sql.lineage import OPEN, Names, Origins, Read, trace

# Columns of the other readings of a table, and those of them that show the contract's event time.
_OWN = {"": (), "changes": ("op", "event_time", "appended_at"), "history": ("valid_from", "valid_to")}
_TIMES = ("event_time", "valid_from", "valid_to")


def personal(project: Project, job: Job) -> Origins:
    """The personal columns behind each column of a job's result; without a tag in any contract nothing is parsed."""
    return _Walk(project).job(job) if _any(project) else OPEN


def tagged(project: Project, contract: Contract) -> Contract:
    """The contract of a table or view with every column marked whose values are personal, also where its job brings
    them from another table."""
    job = next((j for j in project.jobs if j.name == contract.table and j.kind == "batch"), None)
    traced = personal(project, job) if job else Origins()
    columns = (replace(c, personal=c.personal or bool(traced.of(c.name))) for c in contract.columns)
    return replace(contract, columns=tuple(columns))


def touched(project: Project, name: str) -> Names:
    """The personal columns in the tables of a job or a source, whatever is shown of them: an engine's message about it
    may quote their values. All of the project's for a name that it doesn't know."""
    job = next((j for j in project.jobs if j.name == name), None)
    source = next((s for s in project.sources if s.name == name), None)
    tables = project.tables_behind(job) if job else source.tables if source else tuple(project.tables.values())
    return frozenset(f"{t.name}.{c.name}" for t in tables for c in t.contract.columns if c.personal)


def version(project: Project, job: Job) -> str:
    """A text that changes when other columns of the job's result are personal; '' while none is."""
    found = personal(project, job)
    shown = [f"{c}<{','.join(sorted(o))}" for c, o in sorted(found.columns.items()) if o]
    return " ".join([*shown, *(f"*<{o}" for o in sorted(found.rest))])


def _any(project: Project) -> bool:
    return any(c.personal for contract in project.contracts.values() for c in contract.columns)


class _Walk:
    def __init__(self, project: Project) -> None:
        self.project = project
        self.jobs = {j.name: j for j in project.jobs if j.kind == "batch"}
        self.known: dict[str, Origins] = {}

    def job(self, job: Job) -> Origins:
        if job.name not in self.known:
            self.known[job.name] = _tagged(self.project.contracts.get(job.name), self._traced(job))
        return self.known[job.name]

    def _traced(self, job: Job) -> Origins:
        reads = self._reads(job)
        if job.language == "sql":
            return trace(job.text, reads, _dialect(job))
        columns: dict[str, Names] = {}
        for read in reads.values():
            columns |= {c: columns.get(c, frozenset()) | o for c, o in read.origins.columns.items()}
        return Origins(columns, frozenset().union(*(r.origins.rest for r in reads.values())))

    def _reads(self, job: Job) -> dict[str, Read]:
        return {i.name: self._read(i) for i in job.inputs}

    def _read(self, item: Input) -> Read:
        view = self.jobs.get(item.name)
        if view:
            return Read(self._columns(view), self.job(view))
        name = item.name if item.name in self.project.tables else item.table
        table = self.project.tables.get(name)
        if table is None:  # left out for a mistake of its own; the job does not run either
            return Read(None, OPEN)
        contract, variant = table.contract, "" if item.name == name else item.variant
        own = {c.name.lower(): frozenset({f"{name}.{c.name}"}) for c in contract.columns if c.personal}
        when = own.get(contract.event_time.lower())
        own |= dict.fromkeys([t for t in _TIMES if when and t in _OWN[variant]], when or frozenset())
        return Read(tuple(dict.fromkeys((*contract.names, *_OWN[variant]))), Origins(own))

    def _columns(self, view: Job) -> Columns:
        if view.language != "sql":
            return None
        return examine_batch(view.text, {n: r.columns for n, r in self._reads(view).items()}).outputs


def _tagged(contract: Contract | None, traced: Origins) -> Origins:
    own = (
        {c.name.lower(): frozenset({f"{contract.table}.{c.name}"}) for c in contract.columns if c.personal}
        if contract
        else {}
    )
    return Origins({**traced.columns, **{c: traced.of(c) | o for c, o in own.items()}}, traced.rest)


def _dialect(job: Job) -> str:
    return "flink" if job.kind == "stream" else "spark"
