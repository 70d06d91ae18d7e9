"""The `limits` of a source: how much of its log its database may keep for us, and what happens then."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headrace.errors import Problem, did_you_mean
from headrace.project.located import Located

PAUSE, RESNAPSHOT = "pause", "resnapshot"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)")
_EXAMPLE = "log: {warn: 1 GB, limit: 5 GB, then: pause}"


@dataclass(frozen=True)
class LogLimits:
    """Bytes of log. Above `warn` the source's check fails; above `limit` it also does what `then` says."""

    warn: int = 10**9
    limit: int | None = None
    then: str = PAUSE


NO_LIMITS = LogLimits()


def read_limits(doc: Located, kind: str, problems: list[Problem]) -> LogLimits:
    """The limits in a source's file; its mistakes are added to `problems`."""
    if doc.get("limits") is None:
        return LogLimits()
    if kind not in ("postgresql", "mariadb"):
        problems.append(Problem(f"a source of kind {kind} has no log to limit", doc.place("limits"), "delete it"))
        return LogLimits()
    before = len(problems)
    doc.mapping(("limits",), problems)
    doc.mapping(("limits", "log"), problems)
    if len(problems) > before:
        return LogLimits()
    problems += doc.unknown(("limits",), {"log"}) + doc.unknown(("limits", "log"), {"warn", "limit", "then"})
    warn, limit = _size(doc, "warn", problems), _size(doc, "limit", problems)
    then = doc.text(("limits", "log", "then"), problems, PAUSE)
    at = doc.place("limits", "log", "then")
    if then not in (PAUSE, RESNAPSHOT):
        problems.append(Problem(f"no such choice {then!r}", at, did_you_mean(then, (PAUSE, RESNAPSHOT))))
    elif doc.get("limits", "log", "limit") is None and doc.get("limits", "log", "then") is not None:
        problems.append(Problem("`then` needs the `limit` from which it is done", at, _EXAMPLE))
    if warn is None:
        warn = min(LogLimits.warn, limit or LogLimits.warn)
    elif limit is not None and limit < warn:
        place = doc.place("limits", "log", "limit")
        problems.append(Problem("the limit is below the size that is warned of", place, _EXAMPLE))
    return LogLimits(warn, limit, then)


def shown(size: int) -> str:
    """A number of bytes for people: 1.2 GB."""
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}"
    return f"{size} bytes"


def _size(doc: Located, name: str, problems: list[Problem]) -> int | None:
    text = doc.text(("limits", "log", name), problems)
    if not text:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        problems.append(Problem(f"{name}: {text!r} is not a size", doc.place("limits", "log", name), "such as 500 MB"))
        return None
    return int(float(found[1]) * _UNITS[found[2]])
