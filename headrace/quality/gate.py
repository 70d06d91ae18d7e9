"""The gate before publishing: a blocking check that fails keeps the old view. Costs nothing where no check blocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.errors import HeadraceError, Problem
from headrace.lake import paths
from headrace.lake.commits import stored
from headrace.lake.pinned import Pinned
from headrace.project import Job, Project
from headrace.project.quality_check import Check
from headrace.quality.examine import Report, examine, of_nothing
from headrace.quality.expect import Result


def inputs(project: Project, job: Job, versions: Mapping[str, str]) -> None:
    """Raises HeadraceError unless every blocking check of the job's tables passes at the versions that the run reads.

    What landing has enforced (required columns, the key) is not looked at again.
    """
    failed: list[tuple[Report, Result]] = []
    for name in (n for n in versions if n in project.tables):
        contract = project.tables[name].contract
        checks = tuple(c for c in contract.checks if c.blocking and not c.implied)
        if not checks:
            continue
        pinned = at(project, name, versions)
        if pinned is None:
            report = of_nothing(project, contract, checks)
        else:
            others = referred(project, checks, versions)
            report = examine(project, contract, checks, pinned, others, f"before {job.name}", again=False)
        failed += [(report, r) for r in report.results if not r.passed]
    _refuse(job, failed)


def result(project: Project, job: Job, path: str, version: int) -> None:
    """Raises HeadraceError unless the view's rows at a version pass the blocking checks of its own contract, if it has
    one; its required columns and key are among them. Its other checks are evaluated with them."""
    contract = project.contracts.get(job.name)
    if contract and any(c.blocking for c in contract.checks):
        view = Pinned(job.name, path, version, deleted=False)
        others = referred(project, contract.checks)
        report = examine(project, contract, contract.checks, view, others, f"before {job.name}", again=False)
        _refuse(job, [(report, r) for r in report.results if r.check.blocking and not r.passed])


def referred(
    project: Project, checks: tuple[Check, ...], versions: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Pinned]:
    """The tables that checks refer to, as far as they are on the lake."""
    names = {c.references[0] for c in checks if c.kind == "references"}
    found = {name: at(project, name, versions) for name in sorted(names)}
    return {name: table for name, table in found.items() if table}


def at(project: Project, name: str, versions: Mapping[str, str]) -> Pinned | None:
    """A current table at the version that a run reads, else at its newest; None when there is none."""
    path, _, version = versions.get(name, "").rpartition("@")
    if version == "None":
        return None
    if version:
        return Pinned(name, path, int(version), deleted=True)
    path = paths.current(project, name)
    commit = stored(path)
    return Pinned(name, path, commit.version, deleted=True) if commit else None


def described(report: Report, result: Result) -> str:
    """A failed check in words."""
    if result.passed is None:
        return f"{report.name}: {result.check.name!r} could not be evaluated: {result.note}"
    if result.unexpected is None:
        return f"{report.name}: {result.check.name!r} failed: {result.observed or result.note}"
    such = f", such as {'; '.join(result.examples[:3])}" if result.examples else ""
    return f"{report.name}: {result.check.name!r} failed for {result.unexpected:,} of {result.rows:,} rows{such}"


def hint(report: Report, result: Result) -> str:
    """What to do about a failed check."""
    if result.check.kind == "rowCountChange":
        return f"if so many rows are right: headrace quality {report.name} --accept"
    return f"headrace quality {report.name}; data docs: {report.docs}"


def _refuse(job: Job, failed: list[tuple[Report, Result]]) -> None:
    if failed:
        head = Problem(f"{job.name} was not published, its readers keep the old rows: a blocking check failed")
        raise HeadraceError(head, *(Problem(described(p, r), r.check.place, hint(p, r)) for p, r in failed))
