"""Jobs: one .sql or .py file in `jobs/batch/` or `jobs/stream/` is one view. Folder, file name and FROM say most of it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem, did_you_mean
from headrace.sql.inputs import tables_read

_COMMON = {"owner"}
HEADER = {"batch": _COMMON | {"schedule", "live"}, "stream": _COMMON | {"key", "severity", "topic"}}
_DECORATORS = {"batch": {"batch_view"}, "stream": {"alert_view", "process_manager"}}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OPTION = re.compile(r"(?:--|#)\s*([a-z][a-z_-]*)\s*:\s*(.*?)\s*$")
ON_NEW_DATA = "on new data"


@dataclass(frozen=True)
class Input:
    """A table a job reads: `table` as the contracts know it, in the form `variant` ('', 'changes' or 'history')."""

    name: str
    place: Place

    @property
    def variant(self) -> str:
        return next((v for v in ("changes", "history") if self.name.endswith(f"_{v}")), "")

    @property
    def table(self) -> str:
        return self.name.removesuffix(f"_{self.variant}") if self.variant else self.name


@dataclass(frozen=True)
class Job:
    """One view: its text, its inputs, and what its header says."""

    name: str
    kind: str  # 'batch' or 'stream'
    language: str  # 'sql' or 'py'
    path: Path
    text: str = field(repr=False)
    inputs: tuple[Input, ...] = ()
    options: dict[str, str] = field(default_factory=dict, hash=False)
    description: str = ""
    function: str = ""  # Python jobs: the decorated function

    @property
    def schedule(self) -> str:
        """A cron expression or preset of Airflow, or 'on new data'."""
        return self.options.get("schedule", ON_NEW_DATA)

    @property
    def key(self) -> tuple[str, ...]:
        """Stream jobs: the columns that make one alert the same alert."""
        return tuple(k.strip() for k in self.options.get("key", "").split(",") if k.strip())

    @property
    def topic(self) -> str:
        return self.options.get("topic", f"alerts.{self.name}")


def read_job(path: Path, kind: str) -> Job:
    """Reads one job; raises HeadraceError with every mistake that shows without an engine."""
    text = path.read_text(encoding="utf-8")
    problems: list[Problem] = []
    if not _NAME.fullmatch(path.stem):
        problems.append(Problem(f"{path.stem!r} can't name a view", Place(path), "lower case letters, digits and _"))
    options, description = _header(path, text, kind, problems)
    function, inputs = "", ()
    try:
        if path.suffix == ".py":
            function, inputs = _python(path, text, kind)
        else:
            inputs = tuple(Input(t.name, Place(path, t.line, t.column)) for t in tables_read(text))
            if not inputs:
                problems.append(Problem("the query reads no table", Place(path, 1), "SELECT … FROM a table of the project"))
    except HeadraceError as error:
        problems += [p if p.place else Problem(p.message, Place(path, 1), p.hint) for p in error.problems]
    if kind == "stream" and path.suffix == ".sql" and not options.get("key"):
        hint = "-- key: account_id      (the columns that make one alert the same alert)"
        problems.append(Problem("an alert view needs a key in its header", Place(path, 1), hint))
    if problems:
        raise HeadraceError(*problems)
    language = path.suffix.removeprefix(".")
    return Job(path.stem, kind, language, path, text, inputs, options, description, function)


def _header(path: Path, text: str, kind: str, problems: list[Problem]) -> tuple[dict[str, str], str]:
    options: dict[str, str] = {}
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith(("--", "#")):
            break
        match = _OPTION.match(line)
        if not match:
            words.append(line.lstrip("-# ").strip())
        elif match[1] in HEADER[kind]:
            options[match[1]] = match[2].split("  ")[0].strip()
        else:
            column = line.index(match[1]) + 1
            hint = did_you_mean(match[1], HEADER[kind])
            problems.append(Problem(f"no such header {match[1]!r} in a {kind} job", Place(path, number, column), hint))
    return options, " ".join(words)


def _python(path: Path, text: str, kind: str) -> tuple[str, tuple[Input, ...]]:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise HeadraceError(f"this is not Python: {error.msg}", place=Place(path, error.lineno or 1, error.offset or 0)) from None
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names = {_name(d) for d in node.decorator_list}
            found += [node] if names & _DECORATORS[kind] else []
    allowed = " or ".join(f"@{d}" for d in sorted(_DECORATORS[kind]))
    if len(found) != 1:
        hint = f"from headrace import {sorted(_DECORATORS[kind])[0]}"
        raise HeadraceError(f"a {kind} job in Python is exactly one function with {allowed}", place=Place(path, 1), hint=hint)
    arguments = found[0].args.args
    if not arguments:
        raise HeadraceError("the function takes no input", place=Place(path, found[0].lineno), hint="name tables as parameters")
    return found[0].name, tuple(Input(a.arg, Place(path, a.lineno, a.col_offset + 1)) for a in arguments)


def _name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
