"""The comment lines a job begins with: `-- name: value` options, the rest is its description. Read line by line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import Place, Problem, did_you_mean
from headrace.project import schedule

SEVERITIES = ("page", "ticket", "info")
MOST = 128  # Flink can change the parallelism of a job with state up to this
_LINE = re.compile(r"(?:--+|#+)[ \t]*")
_OPTION = re.compile(r"([A-Za-z][A-Za-z_-]*)[ \t]*:[ \t]*(.*)")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_COLUMN = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Header:
    """What stands above the query: options with the place of their values, and a sentence for people."""

    options: dict[str, str]
    description: str
    places: dict[str, Place] = field(default_factory=dict)


def read_header(path: Path, text: str, kind: str, problems: list[Problem]) -> Header:
    """The header of a job of a kind; every mistake in it is added to the problems."""
    options: dict[str, str] = {}
    places: dict[str, Place] = {}
    words: list[str] = []
    mark = "#" if path.suffix == ".py" else "--"
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or (number == 1 and line.startswith("#!")):
            continue
        start = _LINE.match(line) if line.startswith(mark) else None
        if not start:
            break
        match = _OPTION.fullmatch(line[start.end() :].rstrip())
        if not match or (match[1] not in ALLOWED[kind] and not match[1].islower() and match[1].lower() not in ALL):
            words.append(line[start.end() :].strip())
            continue
        name, value = match[1], re.split(r"[ \t]{2,}|[ \t]+(?:--|#)", match[2])[0].strip()
        at = Place(path, number, start.end() + 1)
        behind = Place(path, number, start.end() + match.start(2) + 1)
        if name not in ALLOWED[kind]:
            problems.append(_unknown(name, kind, at))
        elif name in options:
            problems.append(
                Problem(f"{name!r} stands twice, first in line {places[name].line}", at, "keep one of them")
            )
        else:
            options[name], places[name] = value, behind
            if not value:
                problems.append(Problem(f"{name!r} has no value", at, ALLOWED[kind][name].example))
            elif wrong := ALLOWED[kind][name].check(value, behind):
                problems.append(wrong)
    return Header(options, " ".join(w for w in words if w), places)


def _unknown(name: str, kind: str, place: Place) -> Problem:
    if name.lower() in ALLOWED[kind]:
        return Problem(f"{name!r} must be written in small letters", place, f"{name.lower()}: …")
    other = "stream" if kind == "batch" else "batch"
    if name.lower() in ALLOWED[other]:
        return Problem(f"{name!r} is for {other} jobs, this is a {kind} job", place, did_you_mean("", ALLOWED[kind]))
    hint = did_you_mean(name, ALLOWED[kind]) + "\n(a sentence may contain a colon when it starts with a capital letter)"
    return Problem(f"no such option {name!r} in the header of a {kind} job", place, hint)


@dataclass(frozen=True)
class _Option:
    example: str
    check: Callable[[str, Place], Problem | None]


def _live(value: str, place: Place) -> Problem | None:
    return None if value in {"true", "false"} else Problem(f"live is true or false, not {value!r}", place, "live: true")


def _severity(value: str, place: Place) -> Problem | None:
    return (
        None if value in SEVERITIES else Problem(f"no such severity {value!r}", place, did_you_mean(value, SEVERITIES))
    )


def _topic(value: str, place: Place) -> Problem | None:
    if _TOPIC.fullmatch(value) and value not in {".", ".."}:
        return None
    return Problem(f"{value!r} can't name a topic", place, "letters, digits, . _ - (at most 249)")


def _key(value: str, place: Place) -> Problem | None:
    columns = [c.strip() for c in value.split(",")]
    wrong = next((c for c in columns if not _COLUMN.fullmatch(c)), None)
    if wrong is not None:
        message = f"key: {wrong!r} can't name a column" if wrong else "key: a comma with no column behind it"
        return Problem(message, place, "key: account_id, window_end")
    twice = next((c for c in columns if columns.count(c) > 1), None)
    return Problem(f"key: {twice!r} stands twice", place, "name each column once") if twice else None


def _parallelism(value: str, place: Place) -> Problem | None:
    if value.isdecimal() and 1 <= int(value) <= MOST:
        return None
    return Problem(f"parallelism is a number from 1 to {MOST}, not {value!r}", place, "parallelism: 2")


def _anything(value: str, place: Place) -> Problem | None:
    return None


_OWNER = _Option("owner: finance", _anything)
_PARALLELISM = _Option("parallelism: 2", _parallelism)
ALLOWED = {
    "batch": {
        "owner": _OWNER,
        "schedule": _Option("schedule: @hourly", schedule.problem),
        "live": _Option("live: true", _live),
        "parallelism": _PARALLELISM,
    },
    "stream": {
        "owner": _OWNER,
        "key": _Option("key: account_id", _key),
        "severity": _Option(f"severity: {SEVERITIES[0]}", _severity),
        "topic": _Option("topic: alerts.failing_payments", _topic),
        "parallelism": _PARALLELISM,
    },
}
ALL = {name for options in ALLOWED.values() for name in options}
