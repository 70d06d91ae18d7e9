"""Runs a suite with Great Expectations and keeps its results and data docs below `.headrace/quality/<table>`."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.project import Contract
from headrace.project.quality_check import Check
from headrace.quality.columns import column

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 10  # rows that a result names
HIDDEN = "•••"
KEPT = 50  # runs of a table in its data docs; ops.quality has all


@dataclass(frozen=True)
class Result:
    """What came of one check. `passed` is None when it could not be evaluated; `note` says why."""

    check: Check
    passed: bool | None
    rows: int
    unexpected: int | None = None
    observed: str = ""
    examples: tuple[str, ...] = ()
    expectation: str = ""
    note: str = ""


def expect(
    folder: Path, contract: Contract, checks: tuple[Check, ...], frame: pd.DataFrame, before: int | None, reason: str
) -> tuple[Result, ...]:
    """Evaluates the checks on a frame that holds their columns; one result per check, in their order.

    One process at a time may work in a folder; what a killed one left there broken is made anew (ops.quality has the
    results). Needs no network: Great Expectations' reports to its makers are off.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    there = (folder / "gx").exists()
    try:
        results = _evaluate(folder, contract, checks, frame, before, reason)
    except Exception:
        if not there:
            raise
        shutil.rmtree(folder / "gx")
        results = _evaluate(folder, contract, checks, frame, before, reason)
    found = {name: one for one in results for name in (one.expectation_config.meta or {})["checks"]}
    secret = hidden(contract, checks)
    return tuple(_result(check, found[check.name], len(frame), secret) for check in checks)


def _evaluate(
    folder: Path, contract: Contract, checks: tuple[Check, ...], frame: pd.DataFrame, before: int | None, reason: str
) -> list[Any]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from headrace.quality.suite import suite

    folder.mkdir(parents=True, exist_ok=True)
    _forget(folder)
    context = gx.get_context(mode="file", project_root_dir=folder)
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # The gate looks at some of the checks only: a suite of its own, so that the page of the whole one stays whole.
    name = contract.table if set(checks) == set(contract.checks) else f"{contract.table}_before_publishing"
    made = context.suites.add_or_update(suite(name, checks, frame, before))
    asset = context.data_sources.add_or_update_pandas("lake").add_dataframe_asset(contract.table)
    data = asset.add_batch_definition_whole_dataframe("rows")
    definition = gx.ValidationDefinition(name=name, data=data, suite=made)
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[context.validation_definitions.add_or_update(definition)],
        actions=[gx.checkpoint.UpdateDataDocsAction(name="data docs")],
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": list(contract.key),
        },
    )
    done = context.checkpoints.add_or_update(checkpoint).run(
        batch_parameters={"dataframe": frame}, run_id=gx.RunIdentifier(run_name=reason)
    )
    return [one for run in done.run_results.values() for one in run.results]


def index(folder: Path) -> Path:
    """The first page of a table's data docs."""
    return folder / "gx" / "uncommitted" / "data_docs" / "local_site" / "index.html"


def _result(check: Check, one: Any, rows: int, secret: frozenset[str]) -> Result:
    kind, said = one.expectation_config.type, one.result or {}
    if not said:
        return Result(check, None, rows, expectation=kind, note=_exception(one.exception_info))
    observed = said.get("observed_value")
    examples = said.get("partial_unexpected_index_list") or ()
    return Result(
        check,
        bool(one.success),
        rows,
        said.get("unexpected_count"),
        "" if observed is None else str(observed),
        tuple(row(each, secret) for each in examples),
        kind,
    )


def row(value: object, hidden: frozenset[str] = frozenset()) -> str:
    """A row that breaks a check, by its key and the value that is wrong; values of `hidden` columns are not told."""
    if not isinstance(value, dict):
        return str(value)
    # What is missing is NULL there, which says nothing; the row's key does.
    return ", ".join(f"{n}={HIDDEN if n in hidden else v}" for n, v in value.items() if str(v) != "<NA>")


def hidden(contract: Contract, checks: tuple[Check, ...]) -> frozenset[str]:
    """The columns of a frame that hold personal or classified values: ops.quality is for every reader."""
    classified = {c.name for c in contract.columns if c.classification or c.personal}
    return frozenset(classified | {column(c) for c in checks if classified & {*c.columns}})


def _exception(info: Any) -> str:
    each = info.values() if isinstance(info, dict) and "exception_message" not in info else [info]
    said = [str(i["exception_message"]) for i in each if isinstance(i, dict) and i.get("exception_message")]
    return said[0].strip().splitlines()[-1] if said else "Great Expectations gave no result"


def _forget(folder: Path) -> None:
    """Removes the oldest results: each run's page is written into an index of all of them."""
    results = folder / "gx" / "uncommitted"
    for pattern in ("validations/**/*.json", "data_docs/local_site/validations/**/*.html"):
        for path in sorted(results.glob(pattern), key=lambda p: p.stat().st_mtime)[: -KEPT + 1]:
            path.unlink(missing_ok=True)
