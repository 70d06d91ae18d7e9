"""Names that Airflow, the pulse and a reader of the UI share. No Airflow in here: the pulse runs without it."""

from __future__ import annotations

from pathlib import Path

from headrace.project import Project

VIEWS_AUDIT = "views__audit"


def dags_folder(project: Project) -> Path:
    """The project's dags/, or the one of this repository for a project that has none: its files name no project."""
    own = project.root / "dags"
    return own if own.is_dir() else Path(__file__).parents[2] / "dags"


def batch_dag(view: str) -> str:
    return f"batch__{view}"


def stream_dag(job: str) -> str:
    return f"stream__{job}"


def source_dag(source: str) -> str:
    return f"source__{source}"


def table_uri(project: Project, table: str) -> str:
    """The asset of a landed table or of a batch view: they share one space of names, as in SQL."""
    return f"headrace://{project.settings.name}/{table}"


def due_uri(project: Project, view: str) -> str:
    """The asset whose event starts a run of one view."""
    return f"headrace://{project.settings.name}/new-data/{view}"
