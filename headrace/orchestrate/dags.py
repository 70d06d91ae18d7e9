"""Airflow's DAGs of a project: `dags/project.py` calls `dags`, and `dags/mistakes.py` calls `mistakes`."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Asset, CronTriggerTimetable, get_parsing_context

from headrace.errors import Problem
from headrace.orchestrate.names import table_uri
from headrace.orchestrate.plan import Plan, plans
from headrace.orchestrate.task import Headrace
from headrace.project import Project, find_root, load

# Five tries within about two minutes: longer than a killed server needs to come back, short enough for a mistake in a
# file to become a dead job while its author still looks. Airflow spreads each delay over up to twice its length.
FIRST_RETRY = timedelta(seconds=5)
BACKOFF = 2.0
LONGEST_RETRY = timedelta(minutes=1)


def dags(file: str) -> dict[str, DAG]:
    """DAG id → DAG for every source and job without mistakes. `file` is a file in the project's dags/ folder."""
    return build(project(file))[0]


def mistakes(file: str) -> None:
    """Raises HeadraceError with every mistake of the project: Airflow shows it in the banner above the list of DAGs."""
    found = project(file)
    problems = (*found.problems, *build(found)[1])
    if problems:
        text = "\n\n".join(p.render(found.root) for p in problems)
        raise Mistakes(f"{len(problems)} to mend in the project; the other jobs go on working.\n\n{text}\n")


class Mistakes(Exception):
    """Shown by Airflow as the import error of dags/mistakes.py."""


def project(file: str) -> Project:
    """The project in HEADRACE_PROJECT, else the one around `file`."""
    root = os.environ.get("HEADRACE_PROJECT")
    return load(find_root(Path(root) if root else Path(file).parent))


def build(project: Project) -> tuple[dict[str, DAG], tuple[Problem, ...]]:
    """The DAGs, and a problem for each plan that Airflow refuses (a wrong schedule, for example)."""
    only = get_parsing_context().dag_id  # set while a task runs: it needs its own DAG and no other
    found: dict[str, DAG] = {}
    problems: list[Problem] = []
    for plan in plans(project):
        if only in {None, plan.dag_id}:
            try:
                found[plan.dag_id] = _dag(project, plan)
            except Exception as error:
                hint = "such as @hourly, @daily, */15 * * * * (minute hour day month weekday), or: on new data"
                problems.append(Problem(f"Airflow can't schedule {plan.dag_id}: {error}", plan.place, hint))
    return found, tuple(problems)


def _dag(project: Project, plan: Plan) -> DAG:
    step = plan.step
    schedule: object = (
        CronTriggerTimetable(plan.schedule, timezone="UTC", run_immediately=plan.soon) if plan.schedule else None
    )
    if plan.asset:
        schedule = [Asset(name=f"new data for {project.settings.name}.{step.makes}", uri=plan.asset, group="new-data")]
    dag = DAG(
        plan.dag_id,
        schedule=schedule,  # type: ignore[arg-type]
        description=plan.description,
        doc_md=plan.doc,
        tags=list(plan.tags),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={
            "owner": plan.owner,
            "retries": step.retries,
            "retry_delay": FIRST_RETRY,
            "retry_exponential_backoff": BACKOFF,
            "max_retry_delay": LONGEST_RETRY,
            "execution_timeout": step.timeout,
        },
    )
    Headrace(
        task_id=step.name,
        dag=dag,
        root=str(project.root),
        arguments=step.arguments,
        inlets=[_asset(project, name) for name in step.reads],
        outlets=[_asset(project, step.makes)] if step.makes else [],
        doc_md=f"`headrace {' '.join(step.arguments)}`",
        dead_job=step.dead_job,
        kind=plan.tags[0],
    )
    return dag


def _asset(project: Project, name: str) -> Asset:
    # The name carries the project as the address does: Airflow refuses to run a task whose asset's name was taken by
    # another address, which is what a renamed project would be.
    group = "table" if name in project.tables else "batch-view"
    return Asset(name=f"{project.settings.name}.{name}", uri=table_uri(project, name), group=group)
