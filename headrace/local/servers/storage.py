"""What Spark must know of a lake that is no local folder. delta-rs reads the same environment by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headrace.lake.store import S3, kind
from headrace.local.install import JARS
from headrace.project import Project

LOG_STORE = "headrace.ConditionalLogStore"


def jars(project: Project) -> list[Path]:
    """Folders with jars that Spark needs for it beside its own."""
    return [JARS / "s3"] if kind(project) in S3 else []


def settings(project: Project, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Spark's settings for the lake's store, out of the variables that Amazon's tools read too. Keys are not among
    them: Spark takes those from its environment, so they are in no file and no command line."""
    if kind(project) not in S3:
        return {}
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    found = {f"spark.hadoop.fs.{s}.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem" for s in S3}
    found |= {f"spark.delta.logStore.{s}.impl": LOG_STORE for s in S3}
    if region:
        found["spark.hadoop.fs.s3a.endpoint.region"] = region
    if endpoint:  # not Amazon's own: those that people run themselves have no host name per bucket
        found["spark.hadoop.fs.s3a.endpoint"] = endpoint
        found["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return found
