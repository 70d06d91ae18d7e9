"""The project's tables as live views read them."""

from __future__ import annotations

from headrace.project.project import Project
from headrace.sql.live.tree import Table


def live_tables(project: Project) -> dict[str, Table]:
    """Every table of a source by its name, with the contract's columns.

    Columns that came later and are not in the contract are left out, as in stream jobs: Flink reads the contract's.
    """
    modes = {source.name: source.mode for source in project.sources}
    return {
        name: Table(name, table.contract.columns, table.contract.key, modes[table.source])
        for name, table in project.tables.items()
    }
