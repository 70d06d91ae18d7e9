"""What Spark complains about, said at its place in the user's file, without plans and stack traces."""

from __future__ import annotations

import logging
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, Place
from headrace.project import Job

if TYPE_CHECKING:
    from pyspark.errors import PySparkException

_CODE = re.compile(r"\[([A-Z][A-Z_0-9.]+)\]\s*")
_END = re.compile(r"\s*SQLSTATE: \w{5}|\n\n|\n== SQL|JVM stacktrace")
_LINE = re.compile(r"line (\d+),? pos (\d+)")
_BLOCK = re.compile(r"== SQL \(line (\d+), position (\d+)\) ==")
_CAUSE = re.compile(r"Caused by: [\w.$]+: (\[[A-Z][A-Z_0-9.]+\] .*)")
_SUGGESTED = re.compile(r"\s*Did you mean one of the following\? \[(.*?)\]\.?")
_LOST = re.compile(
    r"StatusCode\.UNAVAILABLE|INVALID_HANDLE|Connection refused|Connection reset|Socket closed"
    r"|No active Spark session|stopped SparkContext"
)
_QUOTED = re.compile(r"[`\"](\w+)[`\"]")


def quiet() -> None:
    """Keeps pyspark from printing each error as pages of JSON: we say it ourselves."""
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).disabled = True


def explain(job: Job, error: Exception) -> HeadraceError:
    """An exception of Spark, or of the job's own Python, as a message at the line of the job it comes from."""
    from pyspark.errors import PySparkException

    if not isinstance(error, PySparkException):
        place = in_traceback(job, error) or Place(job.path)
        return HeadraceError(f"{type(error).__name__}: {error}", place=place)
    gone = lost(error)
    if gone:
        return HeadraceError(gone, hint=f"headrace run {job.name}")
    text = str(error).strip()
    message, code, hint = said(text)
    if code == "TABLE_OR_VIEW_NOT_FOUND":
        message = message.split(" Verify", maxsplit=1)[0]
        hint = "there is: " + ", ".join(i.name for i in job.inputs)
    shown = f"[{code}] {message}" if code else message
    return HeadraceError(shown, place=_place(job, error, text, message), hint=hint)


def lost(error: Exception) -> str:
    """What to say when the Spark server went away or was restarted under a run; '' when it is something else."""
    if "RetriesExceeded" in type(error).__name__ or _LOST.search(str(error)):
        return "the Spark Connect server went away during the run"
    return ""


def said(text: str) -> tuple[str, str, str]:
    """Spark's text as message, error class and hint, without plan, SQLSTATE and stack trace."""
    chosen = text
    cause = _CAUSE.search(text)
    if cause and text.startswith(("[TASK_", "[JOB_", "[FAILED_", "Job aborted")):
        chosen = cause[1]
    code = _CODE.match(chosen)
    message = _END.split(chosen[code.end() :] if code else chosen, maxsplit=1)[0].strip()
    suggested = _SUGGESTED.search(message)
    hint = f"did you mean one of {suggested[1].replace('`', '')}?" if suggested else ""
    return _SUGGESTED.sub("", message), code[1] if code else "", hint


def in_traceback(job: Job, error: BaseException) -> Place | None:
    """The deepest line of the job's own file in the traceback."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == job.path:
        return Place(job.path, error.lineno or 0, error.offset or 0)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == job.path]
    return Place(job.path, lines[-1] or 0) if lines else None


def _place(job: Job, error: PySparkException, text: str, message: str) -> Place:
    return (
        _in_context(job, error)
        or (in_traceback(job, error) if job.language == "py" else _in_text(job, text) or _of_a_name(job, message))
        or Place(job.path)
    )


def _in_context(job: Job, error: PySparkException) -> Place | None:
    """The fragment of SQL, or the line of Python, that Spark itself says it is about."""
    for context in error.getQueryContext() or []:
        if context.contextType().name == "DataFrame":
            path, _, line = context.callSite().rpartition(":")
            if path and Path(path) == job.path and line.isdigit():
                return Place(job.path, int(line))
        elif not context.objectType():  # else it is about the text of a view below the job
            start = context.startIndex()
            if job.text[start : context.stopIndex() + 1] == context.fragment():
                return _at(job, start)
    return None


def _in_text(job: Job, text: str) -> Place | None:
    block = _BLOCK.search(text)
    if block:
        return Place(job.path, int(block[1]), int(block[2]))
    found = _LINE.search(text)
    if not found:
        return None
    lines = job.text.rstrip().split("\n")
    line, column = int(found[1]), int(found[2]) + 1  # Spark counts lines from 1 and columns from 0
    return Place(job.path, line, column) if line <= len(lines) else Place(job.path, len(lines), len(lines[-1]) + 1)


def _of_a_name(job: Job, message: str) -> Place | None:
    """Where the query first says the name that the message is about."""
    named = _QUOTED.search(message)
    if not named:
        return None
    code = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), job.text)
    found = re.search(rf"\b{re.escape(named[1])}\b", code)
    return _at(job, found.start()) if found else None


def _at(job: Job, index: int) -> Place:
    before = job.text[:index]
    return Place(job.path, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)
