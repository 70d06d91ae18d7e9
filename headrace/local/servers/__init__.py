"""Which servers a project needs on this machine, one small file each; a part with an address of its own has none."""

from __future__ import annotations

from headrace.errors import HeadraceError, did_you_mean
from headrace.local.server import Server
from headrace.local.servers import (
    airflow,
    cassandra,
    connect,
    flink,
    kafka,
    kept,
    mariadb,
    monitoring,
    neo4j,
    postgres,
    spark,
    superset,
    workers,
)
from headrace.project import Project

SOURCES = {
    "postgresql": postgres.source,
    "mariadb": mariadb.source,
    "cassandra": cassandra.source,
    "neo4j": neo4j.source,
}
PARTS = ("postgres", "bus", "connect", "source", "flink", "spark", "airflow", "landing", "pulse")


def servers(project: Project) -> list[Server]:
    """Every server that `up` keeps running, in the order in which people read them."""
    settings = project.settings
    found = [] if settings.serving else [postgres.serving(project)]
    found += [SOURCES[s.kind](project, s) for s in project.sources if s.local and s.kind in SOURCES]
    found += [] if settings.bus else kafka.servers(project)
    found += [] if settings.connect else [connect.server(project)]
    found += [] if settings.flink else flink.servers(project)
    found += [] if settings.spark else spark.servers(project)
    found += [*workers.landing(project), workers.pulse(project)]
    found += airflow.servers(project)
    found += superset.servers(project)
    found += monitoring.servers(project)
    found += kept.servers(project)
    return found


def chosen(project: Project, only: set[str] | None) -> list[Server]:
    """The servers of the named parts ('source' means all local sources); all of them when none is named."""
    found = servers(project)
    if only is None:
        return found
    words = {
        *PARTS,
        *(f"source:{s.name}" for s in project.sources if s.local and s.kind in SOURCES),
        *(s.part for s in found),
    }
    for word in sorted(only - words):
        raise HeadraceError(f"there is no part {word!r}", hint=did_you_mean(word, words))
    return [s for s in found if s.part in only or s.part.split(":")[0] in only]
