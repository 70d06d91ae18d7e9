"""Flink's Java stack traces as one message with a place in the user's file and a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headrace.errors import Place, Problem, did_you_mean
from headrace.project import Job

_AT = re.compile(r"(?:From|At|at) line (\d+), column (\d+)(?: to line \d+, column \d+)?:? ?")
_CAUSE = re.compile(r"^(?:Caused by: )?(?:[\w$.]+\.)?([\w$]*(?:Exception|Error))(?:: (.*))?$", re.DOTALL)
_NOISE = (
    "SqlGatewayException",
    "SqlExecutionException",
    "CompletionException",
    "ExecutionException",
    "JobSubmissionException",
)
_UNKNOWN = re.compile(r"(?:Column|Object|identifier|Field|field) ['\[]?([\w.]+)['\]]?")
_SECRET = re.compile(r"('password'\s*=\s*)'(?:[^']|'')*'", re.IGNORECASE)


def problem(trace: str, job: Job, words: Iterable[str], shift: int) -> Problem:
    """What the trace says about the job's query.

    `words` are the tables and columns that the query may name, `shift` the lines that stood before the job's text.
    """
    causes = [c for c in _causes(trace) if c[0] not in _NOISE] or [("", "Flink refused the job and gave no reason")]
    placed = [c for c in causes if _AT.search(c[1])]
    kind, text = (placed or causes)[-1] if not placed else placed[0]
    found = _AT.search(text)
    place = Place(job.path, 1)
    if found:
        line = int(found[1]) - shift
        lines = job.text.count("\n") + 1
        place = Place(job.path, min(max(line, 1), lines), int(found[2]) if 1 <= line <= lines else 0)
        text = text[: found.start()] + text[found.end() :]
    return Problem(_clean(text) or kind, place, _hint(text, words))


def root_cause(trace: str) -> str:
    """The last cause in a trace as one line, for lists; '' for an empty trace."""
    causes = [c for c in _causes(trace) if c[1]]
    if not causes:
        return next((line.strip() for line in trace.splitlines() if line.strip()), "")
    kind, text = causes[-1]
    return masked(f"{kind}: {' '.join(text.split())}")[:500]


def masked(text: str) -> str:
    """`text` without the passwords that stand in table options."""
    return _SECRET.sub(r"\1'…'", text)


def _causes(trace: str) -> list[tuple[str, str]]:
    causes: list[list[str]] = []
    for line in trace.splitlines():
        if line.startswith(("\tat ", "\t...", "<Exception", "End of exception", "Internal server error")):
            continue
        line = line.removesuffix(">") if line.endswith("Exception>") else line
        match = _CAUSE.match(line.removeprefix(": "))  # (py4j puts a colon before a Java exception)
        if match:
            causes.append([match[1], match[2] or ""])
        elif causes:
            causes[-1][1] += "\n" + line
    return [(kind, text.strip()) for kind, text in causes]


def _clean(text: str) -> str:
    text = text.removeprefix("SQL parse failed. ").removeprefix("SQL validation failed. ")
    for rest in (", input field list:", "\nWas expecting"):  # what could have stood there, a page of it
        text = text.split(rest)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return masked(" ".join(lines[:4])).rstrip(". ")


def _hint(text: str, words: Iterable[str]) -> str:
    if "not found" in text or "Unknown identifier" in text or "Cannot resolve field" in text:
        unknown = _UNKNOWN.search(text)
        return did_you_mean(unknown[1].split(".")[-1], set(words)) if unknown else ""
    if "Encountered" in text:
        return "the query breaks off here or shortly before: a comma too many, a keyword misspelt, a quote left open?"
    if "time attribute" in text:
        return "windows and time joins run on `event_time`: DESCRIPTOR(event_time)"
    if "only single statement" in text:
        return "one file is one SELECT"
    if "No match found for function" in text:
        return "Flink has no such function for these types: https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/functions/systemfunctions/"
    return ""
