"""A Delta table as it was: at a version, or at a time by what its commits say of themselves.

Times of files are not asked: a lake that was copied has new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from deltalake import DeltaTable

_FIRST_LOOK = 64  # commits, read from the newest backwards; four times as many each time that is not far enough


@dataclass(frozen=True)
class Moment:
    """A version of one table, or a time that holds for every table; just one of the two is set."""

    version: int | None = None
    time: datetime | None = None

    def __str__(self) -> str:
        return f"version {self.version}" if self.time is None else shown(self.time)


def parse(text: str) -> Moment:
    """'12' as a version; '2026-01-31', '2026-01-31 12:00' or '2026-01-31T12:00:00+01:00' as a time, in UTC if not said.

    Raises HeadraceError for anything else, and for a time that has not come.
    """
    if text.strip().isdecimal():
        return Moment(version=int(text))
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "a time such as 2026-01-31T12:00 (UTC), or a version such as 12 of one table"
        raise HeadraceError(f"--as-of {text!r} is neither a time nor a version", hint=hint) from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    if time > datetime.now(UTC):
        raise HeadraceError(f"--as-of {text!r} has not come yet", hint=f"it is {shown(datetime.now(UTC))}")
    return Moment(time=time)


def table_at(address: str, name: str, moment: Moment) -> DeltaTable:
    """The table as its newest commit at or before the moment left it.

    `name` is what messages call it. Raises HeadraceError when that was before the table, when the version was never
    written, or when its log or its files are gone; deltalake's TableNotFoundError when there never was a table.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    newest = DeltaTable(address)
    version = moment.version if moment.time is None else _version_at(newest, name, moment.time)
    assert version is not None
    if version > newest.version():
        raise HeadraceError(f"{name} has no version {version}: the newest is {newest.version()}", hint=_history(name))
    try:
        found = DeltaTable(address, version=version)
    except (DeltaError, TableNotFoundError):
        raise HeadraceError(f"the log of {name} no longer holds version {version}", hint=_gone(name)) from None
    data = found.to_pyarrow_dataset()
    there = {info.path for info in data.filesystem.get_file_info(data.files) if info.is_file}
    lost = [path for path in data.files if path not in there]
    if lost:
        message = f"version {version} of {name} was vacuumed: {len(lost)} of its {len(data.files)} files are gone"
        raise HeadraceError(message, hint=_gone(name))
    return found


def time_of(commit: dict[str, Any]) -> datetime:
    """When a commit of a table's history was made, by its writer's clock."""
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)


def shown(time: datetime) -> str:
    return f"{time.astimezone(UTC).isoformat(sep=' ', timespec='seconds')[:19]} UTC"


def _version_at(table: DeltaTable, name: str, time: datetime) -> int:
    limit = _FIRST_LOOK
    while True:
        commits = table.history(limit)
        for commit in commits:  # the newest first
            if time_of(commit) <= time:
                return int(commit["version"])
        if len(commits) < limit:
            break
        limit *= 4
    first = commits[-1]
    if first["version"] == 0:
        raise HeadraceError(
            f"{name} was not there yet: its first commit is of {shown(time_of(first))}", hint=_history(name)
        )
    message = f"the log of {name} no longer reaches back: it begins with version {first['version']}"
    raise HeadraceError(f"{message} of {shown(time_of(first))}", hint=_gone(name))


def _history(name: str) -> str:
    return f"headrace history {name}"


def _gone(name: str) -> str:
    zone, _, table = name.partition(".")
    if zone == "current":
        return f"landing.{table} keeps every change: WHERE appended_at <= a time; {_history(name)}   lists the versions"
    return f"{_history(name)}   lists the versions"
