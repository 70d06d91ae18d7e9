"""Sessions on the warm Spark Connect server."""

from __future__ import annotations

import atexit
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headrace.errors import HeadraceError
from headrace.project import Project

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PORT = 15002  # Spark Connect's own default
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # Values that come out wrong are errors, not NULLs; parsing of landed rows says try_cast where NULL is meant.
    "spark.sql.ansi.enabled": "true",
    # The checksum file re-reads the whole table state with each commit: 1.4 s of a 2.4 s write of a small view.
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
    # The source of our MERGE is fixed by offsets over an append-only table, so it needs no copy to be repeatable.
    "spark.databricks.delta.merge.materializeSource": "none",
}
EMBEDDED = {"spark.sql.shuffle.partitions": "4"}  # two cores and small tables; a cluster knows its own
# Over few rows, writing and compiling a program per query is most of its cost, and so is replanning between stages.
SMALL = 100_000  # landed rows
INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}


def session(project: Project) -> SparkSession:
    """A new session of its own (temp views and settings are not shared), in UTC.

    Raises HeadraceError at once when the server is not there, instead of after Spark's minutes of retries.
    """
    address = project.addresses.spark
    parts = urlsplit(address.split(";")[0])
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or PORT), timeout=5).close()
    except OSError as error:
        hint = f"headrace up   (or `spark:` in headrace.yml is wrong)\n{error}"
        raise HeadraceError(f"the Spark Connect server at {address} does not answer", hint=hint) from None
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(address).create()
    # At exit pyspark asks the server to drop its ML cache, which we have not, and retries for minutes when it is gone.
    atexit.unregister(spark.client._on_exit)
    for name, value in (SETTINGS if project.settings.spark else SETTINGS | EMBEDDED).items():
        spark.conf.set(name, value)
    return spark


def suit(spark: SparkSession, rows: int) -> None:
    """Lets the session work in the way that is quicker for so many landed rows; results are the same in both."""
    for name, value in (INTERPRETED if rows < SMALL else {}).items():
        spark.conf.set(name, value)
