"""Keeps tables that Spark writes quick to read and small on disk: few files, no files of old versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.batch import shape
from headrace.lake.commits import files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILES = 64  # a current table with more files is merged into few: each fold leaves some small ones
VERSIONS = 50  # every so many versions, the files of versions that nobody reads any more are removed
HOURS = 24  # a run pins its inputs' versions from its start, so this is the longest run


def tidy(spark: SparkSession, path: str, version: int) -> None:
    """Merges small files and removes old ones when it is time. Changes no row; a commit of it keeps the session's
    userMetadata, so that the newest commit still carries the table's state."""
    if files(path) > FILES:
        spark.sql(f"OPTIMIZE {shape.table(path)}").collect()
    if version and version % VERSIONS == 0:
        spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")  # its least is a week
        spark.sql(f"VACUUM {shape.table(path)} RETAIN {HOURS} HOURS").collect()
