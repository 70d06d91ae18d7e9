"""Checks a table at one version: what is known already is looked up, the rest is evaluated and recorded."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError
from headrace.lake import pinned
from headrace.lake.pinned import Pinned
from headrace.project import Contract, Project
from headrace.project.personal import tagged
from headrace.project.quality_check import Check
from headrace.quality.columns import expressions
from headrace.quality.expect import Result, expect, index
from headrace.serve import quality as records
from headrace.serve.database import locked


@dataclass(frozen=True)
class Report:
    """The results for one table or view; `docs` is the first page of its data docs."""

    name: str
    results: tuple[Result, ...]
    seconds: float
    docs: Path

    def summaries(self) -> list[dict[str, Any]]:
        """One line per check for people."""
        return [
            {
                "table": self.name,
                "check": r.check.name,
                "severity": r.check.severity,
                "result": {True: "passed", False: "failed", None: "not evaluated"}[r.passed],
                "rows": r.rows,
                "unexpected": r.unexpected,
                "observed": r.observed,
                "examples": "; ".join(r.examples[:3]),
                "note": r.note,
            }
            for r in self.results
        ]


def examine(
    project: Project,
    contract: Contract,
    checks: tuple[Check, ...],
    table: Pinned,
    others: Mapping[str, Pinned],
    reason: str,
    accept: bool = False,
    again: bool = True,
) -> Report:
    """Evaluates the checks on one version of a table, records each result in ops.quality and updates the data docs.

    `others` are the tables that its checks refer to. `accept` takes the number of rows as it is now as what the next
    rowCountChange compares with. Not `again`: a check whose answer for this very version is recorded, and can't change,
    is not evaluated. Guarantee: every check has a result, and one that could not be evaluated has not passed.
    """
    began = time.monotonic()
    folder = project.state / "quality" / contract.table
    with locked(project, f"quality {contract.table}") as lock:
        identity = table.identity
        known = {} if again else _known(records.results(lock, contract.table, identity), checks)
        rest = tuple(c for c in checks if c.name not in known)
        fresh: tuple[Result, ...] = ()
        if rest:
            counted = any(c.kind == "rowCountChange" for c in rest) and not accept
            before = records.accepted(lock, contract.table) if counted else None
            lacking = {c.name for c in rest if c.kind == "references" and c.references[0] not in others}
            ready = tuple(c for c in rest if c.name not in lacking)
            frame = _frame(contract, ready, table, others)
            fresh = expect(folder, tagged(project, contract), ready, frame, before, reason) if ready else ()
            fresh += tuple(
                Result(c, None, len(frame), note=f"nothing of {c.references[0]!r} is on the lake yet")
                for c in rest
                if c.name in lacking
            )
            seconds = time.monotonic() - began
            records.record(lock, [_row(contract, r, identity, reason, seconds) for r in fresh], uuid.uuid4())
        by_name = known | {r.check.name: r for r in fresh}
    return Report(contract.table, tuple(by_name[c.name] for c in checks), time.monotonic() - began, index(folder))


def of_nothing(project: Project, contract: Contract, checks: tuple[Check, ...]) -> Report:
    """What the checks say of a table of which nothing ever landed: it has no wrong row, and no row at all."""

    def passed(check: Check) -> bool:
        return check.kind != "freshness" and (check.kind != "rowCount" or float(str(check.low or 0)) <= 0)

    results = tuple(Result(c, passed(c), 0, note="nothing has landed yet") for c in checks)
    return Report(contract.table, results, 0.0, index(project.state / "quality" / contract.table))


def _frame(contract: Contract, checks: tuple[Check, ...], table: Pinned, others: Mapping[str, Pinned]) -> Any:
    import pandas as pd

    needed = {c.references[0] for c in checks if c.kind == "references"}
    try:
        found = pinned.read(table, expressions(contract, checks), [others[name] for name in sorted(needed)])
    except HeadraceError as error:
        raise HeadraceError(error.problems[0].message, place=contract.place) from None
    return found.to_pandas(types_mapper=pd.ArrowDtype)  # exact decimals, and whole numbers beside NULLs


def _known(rows: dict[str, records.Recorded], checks: tuple[Check, ...]) -> dict[str, Result]:
    return {
        c.name: Result(c, r.passed, r.rows, r.unexpected, r.observed, r.examples, note=r.note)
        for c in checks
        if c.lasting and (r := rows.get(c.definition)) and r.passed is not None
    }


def _row(contract: Contract, result: Result, identity: str, reason: str, seconds: float) -> dict[str, Any]:
    check = result.check
    return {
        "table_name": contract.table,
        "check_name": check.name,
        "kind": check.kind,
        "severity": check.severity,
        "passed": result.passed,
        "rows": result.rows,
        "unexpected": result.unexpected,
        "observed": result.observed,
        "examples": list(result.examples),
        "expectation": result.expectation,
        "note": result.note,
        "reason": reason,
        "table_version": identity,
        "definition": check.definition,
        "seconds": seconds,
    }
