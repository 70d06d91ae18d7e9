"""From a job's file to a DataFrame that the lake and the serving database can hold."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING

from headrace.batch.explain import explain, quiet
from headrace.errors import HeadraceError, Place, Problem
from headrace.project import Job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def frame(spark: SparkSession, job: Job) -> DataFrame:
    """The job's result, not yet computed, with names and types that the lake and the serving database can hold.

    Raises HeadraceError at the line of the job's file that is wrong.
    """
    quiet()
    try:
        found = _call(spark, job) if job.language == "py" else spark.sql(_statement(job.text))
        return _storable(job, found)
    except HeadraceError:
        raise
    except Exception as error:
        raise explain(job, error) from None


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
