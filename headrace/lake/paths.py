"""Where each table of the lake lies: a folder below the lake's address, which may be a local path or s3://…"""

from __future__ import annotations

from headrace.project import Project

UNKNOWN = "_unknown"  # quarantine of topics that belong to a source but to no declared table


def landing(project: Project, table: str) -> str:
    """The append-only log of a table's changes."""
    return _address(project, "landing", table)


def quarantine(project: Project, table: str) -> str:
    """What was rejected on a table's topic, with raw bytes and reason."""
    return _address(project, "quarantine", table)


def decisions(project: Project, table: str) -> str:
    """What people decided about rows in a table's quarantine. No table is called so: names begin with a letter."""
    return _address(project, "quarantine", f"_decisions/{table}")


def current(project: Project, table: str) -> str:
    """The latest row per key."""
    return _address(project, "current", table)


def history(project: Project, table: str) -> str:
    """Every row that was valid, from when to when."""
    return _address(project, "history", table)


def batch(project: Project, view: str) -> str:
    """The result of a batch view."""
    return _address(project, "batch", view)


def _address(project: Project, zone: str, name: str) -> str:
    return f"{project.addresses.lake.rstrip('/')}/{zone}/{name}"
