"""Sources and tables that somebody paused. What that means depends on how their rows come:

* a source with a log: its connector is stopped. Its database keeps the log for us meanwhile, which takes space there.
* a source that is pulled: pulls bring nothing, until it is resumed.
* a source of events: landing leaves its topics alone. Services go on sending; the rows wait on the bus.
* one table of any of them: landing leaves its topic alone (and pulls leave it out). Everything else flows on. Rows wait
  on the bus: Headrace's topics keep them without limit of time, so the limit is the brokers' disk; alert views read
  the bus and not the lake, so they go on.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headrace.ingest import controls
from headrace.ingest.controls import Records
from headrace.project import Project, Source, Table

WHAT = "paused"


@dataclass(frozen=True)
class Pause:
    """One source or table that is paused: since when (Unix seconds), by whom and why."""

    source: str
    table: str
    since: int
    who: str = ""
    why: str = ""

    @property
    def name(self) -> str:
        return f"{self.source}.{self.table}" if self.table else self.source

    @property
    def text(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC)
        return f"paused since {since:%Y-%m-%d %H:%M} by {self.who or '?'}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class Pauses:
    """All that is paused, by (source, table); the table is '' for a whole source."""

    found: dict[tuple[str, str], Pause] = field(default_factory=dict)

    @staticmethod
    def of(records: Records) -> Pauses:
        """The pauses among the decisions."""
        found = {}
        for key, value in records.items():
            if key[0] == WHAT:
                source, table = (*key[1:], "")[:2]
                pause = Pause(source, table, value.get("since", 0), value.get("who", ""), value.get("why", ""))
                found[source, table] = pause
        return Pauses(found)

    def source(self, name: str) -> Pause | None:
        """The pause of a whole source."""
        return self.found.get((name, ""))

    def table(self, table: Table) -> Pause | None:
        """The pause of a table: its own, else its source's."""
        return self.found.get((table.source, table.name)) or self.source(table.source)

    def landing(self, project: Project, table: Table) -> Pause | None:
        """The pause that keeps a table from being landed. Of a captured or pulled source that is paused as a whole,
        landing still takes what is on the bus: nothing more comes."""
        own = self.found.get((table.source, table.name))
        return own or (self.source(table.source) if project.source(table.source).mode == "events" else None)

    def topics(self, project: Project) -> frozenset[str]:
        """The topics that landing leaves alone."""
        return frozenset(t.topic for t in project.tables.values() if self.landing(project, t))

    def known(self, project: Project) -> list[Pause]:
        """Those of the project's sources and tables, in order of name."""
        names = {(s.name, t) for s in project.sources for t in ("", *(table.name for table in s.tables))}
        return sorted((p for key, p in self.found.items() if key in names), key=lambda p: p.name)


def read(project: Project) -> Pauses:
    """What is paused now. Raises HeadraceError when the bus does not answer."""
    return Pauses.of(controls.read(project))


def pause(project: Project, source: Source, table: Table | None, why: str = "", who: str = "") -> Pause:
    """Pauses a source, or one of its tables, until `resume`; already paused, it stays as it was. Others go on.

    When it returns the decision is on the bus, and survives restarts of everything. Whoever obeys it notices within
    seconds: what was committed before may still land. A connector is stopped by headrace.ingest.connectors.
    """
    known = read(project).found.get((source.name, table.name if table else ""))
    if known:
        return known
    made = Pause(source.name, table.name if table else "", controls.now(), who or _who(), why)
    controls.write(project, {_key(source, table): {"since": made.since, "who": made.who, "why": why}})
    return made


def resume(project: Project, source: Source, table: Table | None) -> Pause | None:
    """Ends the pause of a source or table; returns it, None when there was none. Tables keep pauses of their own."""
    known = read(project).found.get((source.name, table.name if table else ""))
    if known:
        controls.write(project, {_key(source, table): None})
    return known


def _key(source: Source, table: Table | None) -> tuple[str, ...]:
    return (WHAT, source.name, *([table.name] if table else []))


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container whose user has no name
        return f"user {os.getuid()}"
