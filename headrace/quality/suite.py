"""A contract as a suite of Great Expectations: one expectation per check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from headrace.project.quality_check import SEVERITIES, Check
from headrace.quality.columns import column

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd

_SEVERITY = {"error": "critical", "warning": "warning", "info": "info"}


def suite(name: str, checks: tuple[Check, ...], frame: pd.DataFrame, before: int | None) -> gx.ExpectationSuite:
    """The expectations about a frame with the checks' columns; `before` is the number of rows that it had when its
    rowCountChange was last accepted. Each expectation's `meta` names its checks: a suite holds equal ones once."""
    import great_expectations as gx

    wanted: dict[str, tuple[str, dict[str, Any], list[Check]]] = {}
    for check in checks:
        kind, arguments = _expectation(check, frame, before)
        wanted.setdefault(repr((kind, arguments)), (kind, arguments, []))[2].append(check)
    made = gx.ExpectationSuite(name=name)
    for kind, arguments, alike in wanted.values():
        made.add_expectation(
            getattr(gx.expectations, kind)(
                **arguments,
                severity=_SEVERITY[min((c.severity for c in alike), key=SEVERITIES.index)],
                meta={"checks": [c.name for c in alike]},
                description=next((c.description for c in alike if c.description), None),
            )
        )
    return made


def _expectation(check: Check, frame: pd.DataFrame, before: int | None) -> tuple[str, dict[str, Any]]:
    """The class of a check's expectation and its arguments."""
    if check.kind == "rowCount":
        return "ExpectTableRowCountToBeBetween", _between(check.low, check.high)
    if check.kind == "rowCountChange":
        return "ExpectTableRowCountToBeBetween", _between(0, None) if before is None else _around(before, check)
    name = column(check)
    if check.kind == "freshness":
        oldest = datetime.now(UTC) - timedelta(seconds=check.seconds)
        return "ExpectColumnMaxToBeBetween", {"column": name, "min_value": oldest}
    of_all, of_filled = _mostly(check, len(frame)), _mostly(check, int(frame[name].notna().sum()))
    if check.kind in {"nullValues", "missingValues"}:
        return "ExpectColumnValuesToNotBeNull", {"column": name, **of_all}
    if check.kind == "references":
        return "ExpectColumnValuesToBeNull", {"column": name, **of_all}
    if check.kind == "duplicateValues" and len(check.columns) > 1:
        return "ExpectCompoundColumnsToBeUnique", {"column_list": list(check.columns), **of_all}
    if check.kind == "duplicateValues":
        return "ExpectColumnValuesToBeUnique", {"column": name, **of_filled}
    if check.values:
        return "ExpectColumnValuesToBeInSet", {"column": name, "value_set": list(check.values), **of_filled}
    if check.pattern:
        return "ExpectColumnValuesToMatchRegex", {"column": name, "regex": check.pattern, **of_filled}
    return "ExpectColumnValuesToBeBetween", {"column": name, **_between(check.low, check.high), **of_filled}


def _between(low: object, high: object) -> dict[str, object]:
    given = {"min_value": _value(low), "max_value": _value(high)}
    return {name: value for name, value in given.items() if value is not None}


def _value(bound: object) -> object:
    if not isinstance(bound, str):
        return bound
    at = datetime.fromisoformat(bound)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _around(before: int, check: Check) -> dict[str, object]:
    """The whole numbers of rows that are no more than so many percent away."""
    percent = float(str(check.high))
    return _between(-int(-before * (100 - percent) // 100), int(before * (100 + percent) // 100))


def _mostly(check: Check, size: int) -> dict[str, float]:
    """The part of the rows that must keep the rule. Half a row is let in, so that no rounding decides."""
    limit = check.limit(size)
    return {} if limit == 0 or size == 0 else {"mostly": max(0.0, 1 - (limit + 0.5) / size)}
