"""`headrace quality`: the checks of chosen contracts, on tables that are brought up to date for it."""

from __future__ import annotations

from headrace.batch.current import refresh
from headrace.batch.session import session
from headrace.errors import HeadraceError, Problem, did_you_mean
from headrace.lake import paths
from headrace.lake.pinned import Pinned
from headrace.project import Contract, Job, Project
from headrace.quality import gate
from headrace.quality.examine import Report, examine, of_nothing
from headrace.serve import ops
from headrace.serve.database import connect


def chosen(project: Project, name: str) -> tuple[list[Contract], list[Job]]:
    """The contracts of tables and the views with a contract that SOURCE, SOURCE.TABLE, TABLE or VIEW names; all when it
    is empty."""
    views = [j for j in project.jobs if j.kind == "batch" and j.name in project.contracts]
    if not name:
        return [t.contract for t in project.tables.values()], views
    word, _, table = name.partition(".")
    sources = {s.name: s for s in project.sources}
    if word in sources:
        tables = {t.name: t for t in sources[word].tables}
        if table and table not in tables:
            raise HeadraceError(f"source {word!r} has no table {table!r}", hint=did_you_mean(table, tables))
        return [t.contract for t in tables.values() if table in ("", t.name)], []
    if name in project.tables:
        return [project.tables[name].contract], []
    found = [j for j in views if j.name == name]
    if not found:
        plain = any(j.name == name and j.kind == "batch" for j in project.jobs)
        known = [*sources, *project.tables, *(j.name for j in views)]
        hint = f"write schemas/{name}.yaml" if plain else did_you_mean(name, known)
        what = f"the view {name!r} has no contract" if plain else f"there is no source, table or view {name!r}"
        raise HeadraceError(what, hint=hint)
    return [], found


def check_table(project: Project, contract: Contract, accept: bool = False) -> Report:
    """Every check of a table's contract, on its current table with all that is landed now."""
    names = dict.fromkeys([contract.table, *(c.references[0] for c in contract.checks if c.references[0])])
    for name in names:
        refresh(project, project.table(name), lambda: session(project))
    table = gate.at(project, contract.table, {})
    if table is None:
        return of_nothing(project, contract, contract.checks)
    others = gate.referred(project, contract.checks)
    return examine(project, contract, contract.checks, table, others, "headrace quality", accept)


def check_view(project: Project, view: Job, accept: bool = False) -> Report:
    """Every check of a view's contract, on the rows that are published."""
    contract = project.contracts[view.name]
    with connect(project) as connection:
        known = ops.published(connection, view.name)
    if known is None:
        raise HeadraceError(f"the view {view.name!r} was never published", hint=f"headrace run {view.name}")
    table = Pinned(view.name, paths.batch(project, view.name), known.lake_version, deleted=False)
    others = gate.referred(project, contract.checks)
    return examine(project, contract, contract.checks, table, others, "headrace quality", accept)


def problem(reports: list[Report]) -> HeadraceError | None:
    """The blocking checks that did not pass; None when all did."""
    failed = [(p, r) for p in reports for r in p.results if r.check.blocking and not r.passed]
    if not failed:
        return None
    return HeadraceError(*(Problem(gate.described(p, r), r.check.place, gate.hint(p, r)) for p, r in failed))
