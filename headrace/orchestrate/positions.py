"""How far tables are landed, looked up only when a Delta log has grown: a quiet lake costs a `stat` per table."""

from __future__ import annotations

import time
from pathlib import Path

from headrace.orchestrate import due
from headrace.orchestrate.due import Published, View
from headrace.project import Project

REMOTE = 10.0  # seconds between two looks at a lake that is no local folder


class Lake:
    """How far tables are landed and views have covered them; nothing here starts an engine."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._known: dict[str, tuple[float, dict[int, int]]] = {}

    def grown(self, tables: set[str]) -> bool:
        """Whether a table's log has grown since its positions were asked for last."""
        return any(t not in self._known or self._known[t][0] != self._stamp(t) for t in tables)

    def views(self) -> dict[str, View]:
        """The views that run on new data."""
        from headrace.batch.recorded import code_version

        return due.views(self.project, code_version)

    def covered(self, names: set[str]) -> dict[str, Published | None]:
        """What readers see of each view; None for one that was never published."""
        import psycopg

        from headrace.serve import ops
        from headrace.serve.database import connect

        with connect(self.project) as connection:
            try:
                found = {name: ops.published(connection, name) for name in names}
            except psycopg.errors.UndefinedTable:  # nothing was ever published here
                return dict.fromkeys(names)
        return {n: Published(one.positions, one.code_version) if one else None for n, one in found.items()}

    def landed(self, table: str) -> dict[int, int]:
        """Partition → the offset after the last landed row that is data."""
        from headrace.lake import landing

        stamp = self._stamp(table)  # before reading: a commit in between is then looked up again
        known = self._known.get(table)
        if known is None or known[0] != stamp:
            self._known[table] = known = (stamp, landing.data_positions(self.project, table))
        return known[1]

    def _stamp(self, table: str) -> float:
        from headrace.lake import paths

        folder = paths.landing(self.project, table)
        if "://" in folder:
            return time.monotonic() // REMOTE
        try:
            return (Path(folder) / "_delta_log").stat().st_mtime_ns  # each commit adds a file
        except OSError:
            return 0.0
