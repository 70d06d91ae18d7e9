"""One entry of `quality` in a contract.

Metrics are the standard's; `minimum` and `maximum` of invalidValues, and the rules of `engine: headrace`, are ours.
Rules for people (`type: text`) and for other engines are let through: somebody else runs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from headrace.errors import Problem, did_you_mean
from headrace.project.contract import Column, seconds
from headrace.project.located import Keys, Located
from headrace.project.quality_check import SEVERITIES, Check

_UPPER = ("mustBe", "mustBeLessThan", "mustBeLessOrEqualTo")
_BOTH = (*_UPPER, "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeBetween")
_RULE = (
    "id name description type metric rule arguments mustNotBe mustNotBeBetween unit query engine implementation "
    "dimension method severity businessImpact customProperties tags authoritativeDefinitions scheduler schedule"
).split()
_OF_COLUMN = ("nullValues", "missingValues", "invalidValues", "duplicateValues")
_OF_TABLE = ("rowCount", "duplicateValues")
_OWN = {"freshness": "freshness: 1h", "rowCountChange": "rowCountChange: 20", "references": "references: orders.id"}
_REFERENCE = re.compile(r"([a-z][a-z0-9_]*)\.([A-Za-z_]\w*)")
_TIMES = {"timestamp", "date"}


class Rule:
    """One entry of `quality`: of a column, or of the table when `column` is None."""

    def __init__(
        self,
        doc: Located,
        keys: Keys,
        column: Column | None,
        known: dict[str, Column],
        event_time: str,
        problems: list[Problem],
    ) -> None:
        self.doc, self.keys, self.column, self.known = doc, keys, column, known
        self.event_time, self.problems = event_time, problems
        self._began = len(problems)

    def read(self, rule: object) -> Check | None:
        if not isinstance(rule, dict):
            self._wrong("a rule is a mapping", "- {metric: nullValues, mustBe: 0}")
            return None
        self.problems += self.doc.unknown(self.keys, [*_RULE, *_BOTH], strict=False)
        kind = self._text("type", "library" if "metric" in rule or "rule" in rule else "")
        if kind == "library":
            check = self._metric("metric" if "metric" in rule else "rule")
        elif kind == "custom" and self._text("engine") == "headrace":
            check = self._own()
        elif kind == "custom" or kind == "text":
            return None
        elif kind == "sql":
            self._wrong("a rule of type sql is not run here", "a job in jobs/batch/ can hold the query", "type")
            return None
        else:
            hint = (
                "- {metric: nullValues, mustBe: 0}" if not kind else did_you_mean(kind, ("library", "text", "custom"))
            )
            self._wrong(f"no such type of rule {kind!r}" if kind else "a rule needs a `metric`", hint, "type")
            return None
        severity = self._text("severity", "warning")
        if severity not in SEVERITIES:
            self._wrong(f"no such severity {severity!r}", did_you_mean(severity, SEVERITIES), "severity")
        if check is None or len(self.problems) > self._began:
            return None
        name = self._text("name", check.name)
        return replace(check, name=name, severity=severity, description=self._text("description"))

    def _metric(self, word: str) -> Check | None:
        metric = self._text(word)
        allowed = _OF_COLUMN if self.column else _OF_TABLE
        if metric not in allowed:
            where = "a column" if self.column else "a table"
            self._wrong(f"no such metric of {where}: {metric!r}", did_you_mean(metric, allowed), word)
            return None
        columns = (self.column.name,) if self.column else ()
        check = Check(" ".join((*columns, metric)), metric, self.doc.place(*self.keys), columns)
        if metric == "rowCount":
            return self._rows(check)
        check = self._upper(check)
        read: dict[str, Callable[[Check, dict[str, Any]], Check]] = {
            "missingValues": self._missing,
            "invalidValues": self._invalid,
            "duplicateValues": self._duplicates,
        }
        arguments = self.doc.mapping((*self.keys, "arguments"), self.problems)
        return read[metric](check, arguments) if metric in read else check

    def _upper(self, check: Check) -> Check:
        operator, value = self._operator(_UPPER)
        unit = self._text("unit", "rows")
        if unit not in {"rows", "percent"}:
            self._wrong(f"no such unit {unit!r}", "rows or percent", "unit")
        if operator == "mustBe" and value:
            self._wrong("this metric has an upper limit", f"mustBeLessOrEqualTo: {value}", operator)
        elif operator == "mustBeLessThan" and value is not None and value <= 0:
            self._wrong(f"nothing is less than {value}", "mustBe: 0", operator)
        elif value is not None and value < 0:
            self._wrong(f"{operator} can't be {value}", "mustBe: 0", operator)
        return replace(check, allowed=value or 0, percent=unit == "percent", strict=operator == "mustBeLessThan")

    def _rows(self, check: Check) -> Check:
        operator, value = self._operator(_BOTH)
        if operator == "mustBeBetween":
            return replace(check, low=value[0], high=value[1]) if value else check
        if value is None:
            return check
        low = value if operator in {"mustBe", "mustBeGreaterOrEqualTo"} else None
        high = value if operator in {"mustBe", "mustBeLessOrEqualTo"} else None
        if operator == "mustBeGreaterThan":
            low = int(value) + 1
        elif operator == "mustBeLessThan":
            high = -int(-value // 1) - 1
        return replace(check, low=low, high=high)

    def _operator(self, allowed: tuple[str, ...]) -> tuple[str, Any]:
        rule = self.doc.get(*self.keys)
        given = [n for n in rule if n.startswith("must")]
        if len(given) != 1 or given[0] not in allowed:
            if len(given) == 1 and len(self.problems) > self._began:
                return "", None  # a misspelt operator was said already
            message = "a rule needs one operator" if len(given) != 1 else f"{given[0]} does not go with this metric"
            self._wrong(message, f"one of {', '.join(allowed)}", *given[:1])
            return "", None
        value = rule[given[0]]
        pair = given[0] == "mustBeBetween"
        numbers = value if pair and isinstance(value, list) and len(value) == 2 else [] if pair else [value]
        if not numbers or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            self._wrong(f"{given[0]} needs {'two numbers' if pair else 'a number'}, not {value!r}", "", given[0])
            return given[0], None
        return given[0], value

    def _missing(self, check: Check, arguments: dict[str, Any]) -> Check:
        values = arguments.get("missingValues")
        if not isinstance(values, list):
            self._wrong(
                "missingValues needs the list of values that mean nothing", "arguments: {missingValues: ['', n/a]}"
            )
            return check
        return replace(check, values=tuple(str(v) for v in values if v is not None))

    def _invalid(self, check: Check, arguments: dict[str, Any]) -> Check:
        assert self.column
        names = ("validValues", "pattern", "minimum", "maximum")
        if unknown := self.doc.unknown((*self.keys, "arguments"), names):
            self.problems += unknown
            return check
        values, pattern = arguments.get("validValues"), arguments.get("pattern")
        kinds = [values is not None, pattern is not None, "minimum" in arguments or "maximum" in arguments]
        if sum(kinds) != 1:
            hint = "arguments: {validValues: [card, wallet]}, {pattern: '…'} or {minimum: 0, maximum: 100}"
            self._wrong("invalidValues needs one of validValues, pattern, or minimum and maximum", hint)
        elif values is not None:
            return self._valid(check, values)
        elif pattern is not None:
            try:
                re.compile(str(pattern))
            except re.error as error:
                self._wrong(f"pattern is no regular expression: {error}", "", "arguments", "pattern")
            if self.column.logical != "string":
                self._wrong(
                    f"a pattern is for text, {self.column.name!r} is of type {self.column.logical}", "", "arguments"
                )
            return replace(check, pattern=str(pattern))
        else:
            low, high = self._bound(arguments, "minimum"), self._bound(arguments, "maximum")
            return replace(check, low=low, high=high)
        return check

    def _valid(self, check: Check, values: object) -> Check:
        assert self.column
        types = {"string": str, "integer": int, "boolean": bool}.get(self.column.logical)
        if types is None:
            hint = "arguments: {minimum: 0, maximum: 100}"
            self._wrong(
                f"validValues don't suit {self.column.name!r}, of type {self.column.logical}", hint, "arguments"
            )
        elif not isinstance(values, list) or not values or any(type(v) is not types for v in values):
            hint = "put texts into quotes: yes and 12 are none to YAML" if types is str else ""
            message = f"validValues must be a list of values of type {self.column.logical}"
            self._wrong(message, hint, "arguments", "validValues")
        else:
            return replace(check, values=tuple(values))
        return check

    def _bound(self, arguments: dict[str, Any], name: str) -> object:
        assert self.column
        value, logical = arguments.get(name), self.column.logical
        if value is None:
            return None
        if logical in _TIMES:
            try:
                return datetime.fromisoformat(str(value)).isoformat()
            except ValueError:
                self._wrong(
                    f"{name} is not a time: {value!r}", "such as 2024-01-31 or 2024-01-31T12:00:00Z", "arguments", name
                )
        elif logical not in {"integer", "number"}:
            self._wrong(
                f"{name} is for numbers and times, {self.column.name!r} is of type {logical}", "", "arguments", name
            )
        elif isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(f"{name} must be a number, not {value!r}", "", "arguments", name)
        return value

    def _duplicates(self, check: Check, arguments: dict[str, Any]) -> Check:
        if self.column:
            return check
        columns = arguments.get("properties")
        if not isinstance(columns, list) or not columns or any(str(c) not in self.known for c in columns):
            wrong = [str(c) for c in columns if str(c) not in self.known] if isinstance(columns, list) else []
            hint = did_you_mean(wrong[0], self.known) if wrong else "arguments: {properties: [order_id, line]}"
            message = (
                f"properties name no column: {wrong[0]!r}" if wrong else "duplicateValues needs the columns together"
            )
            self._wrong(message, hint, "arguments", "properties")
            return check
        return replace(check, columns=tuple(columns), name=f"duplicateValues of {', '.join(columns)}")

    def _own(self) -> Check | None:
        written = self.doc.get(*self.keys, "implementation")
        name = next(iter(written)) if isinstance(written, dict) and len(written) == 1 else ""
        allowed = ["references"] if self.column else ["freshness", "rowCountChange"]
        if name not in allowed:
            hint = did_you_mean(name, allowed) if name else f"implementation: {{{_OWN[allowed[0]]}}}"
            message = f"no such check of ours: {name!r}" if name else "`implementation` must say one check"
            self._wrong(message, hint, "implementation", name)
            return None
        value = written[name]
        columns = (self.column.name,) if self.column else ()
        check = Check(name, name, self.doc.place(*self.keys), columns)
        if name == "freshness":
            return self._freshness(check, value)
        if name == "rowCountChange":
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                self._wrong(f"rowCountChange is a number of percent, not {value!r}", _OWN[name], "implementation", name)
                return None
            return replace(check, low=-value, high=value)
        match = _REFERENCE.fullmatch(str(value))
        if not match:
            self._wrong(f"references names a table and its column, not {value!r}", _OWN[name], "implementation", name)
            return None
        return replace(check, name=f"{check.columns[0]} references {value}", references=(match[1], match[2]))

    def _freshness(self, check: Check, value: object) -> Check | None:
        age = seconds(value)
        if not age:
            self._wrong(f"freshness is not a duration: {value!r}", _OWN["freshness"], "implementation", "freshness")
            return None
        if not self.event_time:
            hint = "customProperties:\n  - {property: eventTime, value: updated_at}"
            self._wrong("freshness needs the column of the event time", hint, "implementation", "freshness")
            return None
        return replace(check, columns=(self.event_time,), seconds=age)

    def _text(self, name: str, default: str = "") -> str:
        return self.doc.text((*self.keys, name), self.problems, default)

    def _wrong(self, message: str, hint: str = "", *at: object) -> None:
        self.problems.append(Problem(message, self.doc.place(*self.keys, *at), hint))
