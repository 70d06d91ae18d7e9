"""From a job's file to a DataFrame, and from Spark's complaints to a place in that file."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, Place, Problem
from headrace.project import Job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_WHERE = re.compile(r"\(?line (\d+), pos (\d+)\)?|== SQL \(line (\d+), position (\d+)\) ==")
_CLASS = re.compile(r"^\s*\[([A-Z_.0-9]+)\]\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SUGGESTED = re.compile(r"Did you mean one of the following\? \[(.*?)\]")


def frame(spark: SparkSession, job: Job) -> DataFrame:
    """The job's result, not yet computed, with names and types that the lake and the serving database can hold.

    Raises HeadraceError at the line of the job's file that is wrong.
    """
    try:
        found = _call(spark, job) if job.language == "py" else spark.sql(_statement(job.text))
        return _storable(job, found)
    except HeadraceError:
        raise
    except Exception as error:
        raise explain(job, error) from None


def explain(job: Job, error: Exception) -> HeadraceError:
    """An exception of Spark, or of the job's own Python, as a message at the line of the job it comes from."""
    from pyspark.errors import PySparkException

    if not isinstance(error, PySparkException) or job.language == "py":
        place = _line_of(job, error)
        if not isinstance(error, PySparkException):
            return HeadraceError(f"{type(error).__name__}: {error}", place=place)
    else:
        place = None
    text = str(error)
    message = _CLASS.sub("", text.split("\n\n")[0].split("JVM stacktrace")[0].split("== SQL")[0]).strip()
    message = _WHERE.sub("", message).split("; line")[0].strip().rstrip(";").strip()
    found = _WHERE.search(text)
    if found and job.language == "sql":
        # Spark counts columns from 0 in "line, pos" and from 1 in the context block.
        line, column = (int(found[1]), int(found[2]) + 1) if found[1] else (int(found[3]), int(found[4]))
        place = Place(job.path, line, column)
    suggested = _SUGGESTED.search(message)
    hint = ""
    if suggested:
        message = message[: suggested.start()].strip()
        hint = f"did you mean one of {suggested[1].replace('`', '')}?"
    code = _CLASS.match(text)
    name = f"[{code[1]}] " if code else ""
    return HeadraceError(f"{name}{message}", place=place or Place(job.path), hint=hint)


def _statement(text: str) -> str:
    """The file's text; a closing semicolon is a habit from other tools, not a mistake. Lines stay where they are."""
    return re.sub(r";\s*\Z", "", text)


def _call(spark: SparkSession, job: Job) -> DataFrame:
    from pyspark.sql.connect.dataframe import DataFrame

    spec = importlib.util.spec_from_file_location(f"headrace_job_{job.name}", job.path)
    if spec is None or spec.loader is None:
        raise HeadraceError("this can't be loaded as Python", place=Place(job.path))
    module = importlib.util.module_from_spec(spec)
    folder = str(job.path.parent)
    sys.path.insert(0, folder)  # a job may import a helper that lies beside it
    try:
        spec.loader.exec_module(module)
        found = getattr(module, job.function)(**{i.name: spark.table(i.name) for i in job.inputs})
    finally:
        sys.path.remove(folder)
    if not isinstance(found, DataFrame):
        place = Place(job.path, module.__dict__[job.function].__code__.co_firstlineno)
        raise HeadraceError(f"{job.function} must return a DataFrame, not {type(found).__name__}", place=place)
    return found


def _storable(job: Job, found: DataFrame) -> DataFrame:
    from pyspark.sql import types as t

    schema = list(found.schema.fields)
    problems = []
    twice = {n for n, count in Counter(f.name.lower() for f in schema).items() if count > 1}
    for index, field in enumerate(schema):
        if field.name.lower() in twice:
            if field.name.lower() not in {f.name.lower() for f in schema[:index]}:
                problems.append(
                    Problem(
                        f"two columns are named {field.name!r}",
                        Place(job.path),
                        "give one of them another name with AS",
                    )
                )
        elif not _NAME.fullmatch(field.name):
            hint = "name it: … AS name   (letters, digits and _)"
            problems.append(Problem(f"column {index + 1} has no usable name: {field.name!r}", Place(job.path), hint))
        if isinstance(
            field.dataType, t.DayTimeIntervalType | t.YearMonthIntervalType | t.CalendarIntervalType | t.VariantType
        ):
            problems.append(
                Problem(
                    f"column {field.name!r}: {field.dataType.simpleString()} can't be stored",
                    Place(job.path),
                    "CAST it, for example AS STRING",
                )
            )
    if problems:
        raise HeadraceError(*problems)
    for field in schema:
        if isinstance(field.dataType, t.NullType):
            found = found.withColumn(field.name, found[field.name].cast("string"))
    return found


def _line_of(job: Job, error: BaseException) -> Place | None:
    """The deepest line of the job's own file in the traceback."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == job.path:
        return Place(job.path, error.lineno or 0, error.offset or 0)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == job.path]
    return Place(job.path, lines[-1] or 0) if lines else None
