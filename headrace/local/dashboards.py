"""`make dashboards`: Superset beside a running platform, with the dashboards of docker/superset/assets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError
from headrace.local import platform, secrets
from headrace.local.install import environment
from headrace.local.progress import say
from headrace.local.servers import superset
from headrace.project import Project, find_root, load


def start(project: Project) -> None:
    """Sets Superset up from its files and keeps it running. Quick when both is done.

    Raises HeadraceError when an environment, the files or the serving database is missing.
    """
    _require(project)
    secrets.ensure(project)
    missing = _missing_views(project)
    superset.provision(project)
    superset.ask(project)
    platform.up(project, only={"superset"})
    if missing:
        say(f"not there yet: {', '.join(missing)}. Charts that read them show an error until then.")


def show(project: Project) -> None:
    """Prints where the dashboards are and who may see them."""
    address = superset.server(project).address
    for name, data in _files(project, "dashboards"):
        where = f"{address}/superset/dashboard/{data['slug']}/" if data.get("slug") else address
        print(f"{data.get('dashboard_title', name):<20}{where}")
    print(f"user {superset.USER}   password {project.addresses.secret('HEADRACE_SUPERSET_PASSWORD')}")


def _require(project: Project) -> None:
    if not (environment("dashboards") / "bin" / "gunicorn").exists():
        raise HeadraceError("Superset is not installed yet", hint="make dashboards   fetches it")
    if not (superset.assets(project) / "metadata.yaml").exists():
        raise HeadraceError(
            f"this project has no dashboards: there is no {superset.assets(project)}/metadata.yaml",
            hint="it holds files in Superset's export format; docker/superset/README.md says how to write them",
        )


def _missing_views(project: Project) -> list[str]:
    """Tables of the dashboards that the reader doesn't see; raises HeadraceError when nobody answers it."""
    import psycopg

    tables = sorted({table for _, data in _files(project, "datasets") for table in _tables(data)})
    try:
        with psycopg.connect(project.addresses.serving("reader"), connect_timeout=5) as connection:
            there = {row[0] for row in connection.execute(_SEEN, (tables,))}
    except (psycopg.Error, HeadraceError) as error:
        said = str(error).strip().splitlines()[0]
        raise HeadraceError(
            "the dashboards read the serving database, which does not answer", hint=f"make run   starts it\n({said})"
        ) from None
    return [table for table in tables if table not in there]


def _tables(dataset: dict[str, Any]) -> set[str]:
    """The tables with a schema that a dataset reads: its own, or those its SQL names."""
    if not dataset.get("sql"):
        return {f"{dataset['schema']}.{dataset['table_name']}"}
    from sqlglot import exp, parse_one

    named = parse_one(dataset["sql"], read="postgres").find_all(exp.Table)
    return {f"{table.db}.{table.name}" for table in named if table.db}


# Tables, and views over tables with masked columns.
_SEEN = """SELECT table_schema || '.' || table_name FROM information_schema.tables
WHERE table_schema || '.' || table_name = ANY(%s)"""


def _files(project: Project, kind: str) -> list[tuple[str, dict[str, Any]]]:
    import yaml

    return [(f.stem, yaml.safe_load(f.read_text())) for f in sorted((superset.assets(project) / kind).rglob("*.yaml"))]


def main() -> int:
    """Starts the dashboards of the project in or above the current folder and says where they are."""
    try:
        project = load(find_root(Path()))
        start(project)
        show(project)
    except HeadraceError as error:
        for problem in error.problems:
            say(problem.render())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
