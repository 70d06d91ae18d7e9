"""What `make run` shows in the end: a batch view, the newest alerts, the addresses, and what to try next."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.progress import say, step
from headrace.project import Job, Project, find_root, load

PATIENCE = 120.0  # seconds for the first batch view and the first alert; there may be none to come
ROWS = 8


def welcome(project: Project) -> None:
    """Waits for the first views, then prints them with the addresses. Never fails because a view is not there yet."""
    began = time.monotonic()
    view = _until(lambda: _published(project), PATIENCE)
    if view and time.monotonic() > began + 1:
        with step("the first view is there", began):  # said only once it is
            pass
    alerts = _until(lambda: _alerts(project), 30.0)
    a = project.addresses
    print()
    if view:
        print(f"batch view {view}: a table in PostgreSQL, computed by Spark from every change so far")
        _show(project, f'SELECT * FROM batch."{view}" ORDER BY 1, 2 LIMIT {ROWS}')
    else:
        print("no batch view is published yet: headrace status shows how far they are, headrace logs spark why")
    if alerts:
        print(f"\nnewest alerts of {alerts}, by Flink, seconds after the commit")
        _show(project, f'SELECT * FROM alerts."{alerts}" ORDER BY {_newest(project, alerts)} DESC LIMIT {ROWS}')
    else:
        print("\nno alert yet: they appear in the schema alerts")
    print(f"\nPostgreSQL, read-only   {a.serving('reader')}")
    print(f"Airflow                 {a.airflow}   user admin   password {a.secret('HEADRACE_AIRFLOW_PASSWORD')}")
    print("\nthree commands to try next:")
    headrace = _command(project)
    print(f"  {headrace} status                 # is everything caught up, by position?")
    table = alerts or next((job.name for job in project.jobs if job.kind == "stream"), "")
    query = f"SELECT COUNT(*) FROM alerts.{table}" if table else "SELECT * FROM ops.views"
    print(f'  {headrace} query "{query}"')
    batch = next((job for job in project.jobs if job.kind == "batch" and job.name == view), None)
    print(f"  {headrace} run {batch.name if batch else 'JOB'}      # edit {_file(project, batch)} first, if you like")


def _published(project: Project) -> str:
    """The published view with the fewest columns that a terminal shows well; empty while none is."""
    sql = """SELECT v.view FROM ops.views v JOIN information_schema.columns c
             ON c.table_schema = 'batch' AND c.table_name = v.view
             GROUP BY v.view ORDER BY abs(COUNT(*) - 4), v.view LIMIT 1"""
    return _first(project, sql)


def _alerts(project: Project) -> str:
    """An alert view that has rows; those of a few columns first."""
    found = []
    for job in project.jobs:
        if job.kind == "stream" and _first(project, f'SELECT 1 FROM alerts."{job.name}" LIMIT 1'):
            columns = f"""SELECT COUNT(*) FROM information_schema.columns
                          WHERE table_schema = 'alerts' AND table_name = '{job.name}'"""
            found.append((int(_first(project, columns) or 0), job.name))
    return min(found)[1] if found else ""


def _newest(project: Project, table: str) -> str:
    columns = f"""SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_schema = 'alerts'
                  AND table_name = '{table}' AND data_type LIKE 'timestamp%' ORDER BY ordinal_position DESC LIMIT 1"""
    return _first(project, columns) or "1"


def _first(project: Project, sql: str) -> str:
    import psycopg

    from headrace.serve.database import connect

    try:
        with connect(project, "reader") as connection:
            row = connection.execute(sql).fetchone()  # type: ignore[arg-type] - names are the project's own
    except (psycopg.Error, HeadraceError):
        return ""
    return str(row[0]) if row else ""


def _show(project: Project, sql: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from headrace.serve.database import connect

    with connect(project, "reader") as connection:
        cursor = connection.execute(sql)  # type: ignore[arg-type] - names are the project's own
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    table = Table(*names, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if value is None else str(value)[:40] for value in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _until(look: Callable[[], str], seconds: float) -> str:
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found or time.monotonic() > end:
            return found
        time.sleep(0.5)


def _command(project: Project) -> str:
    program = Path(sys.prefix) / "bin" / "headrace"
    here = Path.cwd()
    shown = str(program.relative_to(here)) if program.is_relative_to(here) else str(program)
    return shown if project.root == here else f"{shown} -C {project.root}"


def _file(project: Project, job: Job | None) -> str:
    return str(job.path.relative_to(project.root)) if job else "jobs/batch/"


def main() -> int:
    """Welcomes to the project in or above the current folder."""
    try:
        project = load(find_root(Path()))
        welcome(project)
    except HeadraceError as error:
        for problem in error.problems:
            say(problem.render())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
