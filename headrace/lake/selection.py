"""Which quarantined rows are meant: what the filters of `headrace dlq` say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headrace.errors import HeadraceError, did_you_mean
from headrace.lake import paths
from headrace.project import Project
from headrace.project.contract import seconds


@dataclass(frozen=True)
class Selection:
    """Filters on quarantined rows; an empty one lets everything through. Times are those of the rejection."""

    source: str = ""
    table: str = ""
    reason: str = ""  # a part of the reason
    since: datetime | None = None
    until: datetime | None = None

    def tables(self, project: Project) -> list[str]:
        """The quarantines to look into. Raises HeadraceError for a source or a table that is not there."""
        if self.source:
            project.source(self.source)
        names = [*sorted(project.tables), paths.UNKNOWN]
        if self.table and self.table not in names:
            hint = "headrace check   (files of the project have mistakes)" if project.problems else ""
            raise HeadraceError(f"there is no table {self.table!r}", hint=hint or did_you_mean(self.table, names))
        of_source = {n for n, t in project.tables.items() if self.source in ("", t.source)} | {paths.UNKNOWN}
        return [name for name in names if self.table in ("", name) and name in of_source]


def moment(text: str, now: datetime) -> datetime:
    """A UTC time from ISO text ('2026-01-31T12:00', with or without zone), or so long before now ('2h', '7d')."""
    ago = seconds(text)
    if ago is not None:
        return now - timedelta(seconds=ago)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        hint = "a UTC time such as 2026-01-31T12:00, or how long ago: 90s, 30m, 2h, 7d"
        raise HeadraceError(f"{text!r} is not a time", hint=hint) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def source_of(project: Project, topic: str) -> str:
    """The source on whose names a topic stands that no table declares; '' when it can't be told."""
    start = topic.partition(".")[0]
    for source in project.sources:
        if source.name == start or any(t.topic.partition(".")[0] == start for t in source.tables):
            return source.name
    return ""
