"""Current tables: the latest row per key, folded from landing when a job that reads them runs.

The state of a current table is in its newest commit by Headrace: positions folded so far, the contract's fingerprint,
and the floors (truncates, complete snapshots) below which rows are gone. So rows and state change in one commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.batch import events, shape
from headrace.batch.explain import lost, quiet, said
from headrace.batch.session import suit
from headrace.batch.tidy import tidy
from headrace.errors import HeadraceError
from headrace.lake import landing, observed, paths
from headrace.lake.arrivals import Arrivals, Floor, Offsets, look
from headrace.lake.commits import metadata, stored
from headrace.project import Contract, Project, Table
from headrace.serve.database import locked

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

FORMAT = "1"  # part of the fingerprint: raise it when the columns or the rule of current tables change


@dataclass(frozen=True)
class Current:
    """A current table at one version, and the positions it covers. `version` is None when nothing ever landed."""

    table: Table
    path: str
    version: int | None
    positions: Offsets
    floors: tuple[Floor, ...] = ()


@dataclass
class _State:
    """What a commit records. `pending` are ends of snapshots of which other partitions may still lack rows."""

    contract: str
    positions: Offsets = field(default_factory=dict)
    floors: list[Floor] = field(default_factory=list)
    pending: list[Floor] = field(default_factory=list)
    last: dict[int, datetime] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "positions": {str(p): o for p, o in self.positions.items()},
            "floors": [f.to_json() for f in self.floors],
            "pending": [f.to_json() for f in self.pending],
            "last": {str(p): at.isoformat() for p, at in self.last.items()},
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> _State:
        return _State(
            value.get("contract", ""),
            {int(p): o for p, o in value.get("positions", {}).items()},
            [Floor.from_json(f) for f in value.get("floors", [])],
            [Floor.from_json(f) for f in value.get("pending", [])],
            {int(p): datetime.fromisoformat(at) for p, at in value.get("last", {}).items()},
        )


def refresh(project: Project, table: Table, session: Callable[[], SparkSession], rebuild: bool = False) -> Current:
    """Brings the current table of `table` up to all that is landed now; returns the version that has it.

    Guarantee: that version is the fold of exactly the landed rows below its positions, in order of (epoch, source
    position, partition, offset), however they arrived, however often this ran or was killed. Serialised per table by a
    lock in PostgreSQL. `session` makes a session, only when there is something to fold; `rebuild` folds from the start.
    Columns that the source gained are columns of it where the contract says so: `table` of the result has them.
    """
    table = observed.effective(project, table)
    found = _unchanged(project, table)
    if found and not rebuild:
        return found
    with locked(project, f"current {table.name}"):
        found = _unchanged(project, table)
        if found and not rebuild:
            return found
        from pyspark.errors import PySparkException

        quiet()
        try:
            return _fold(project, table, session, rebuild)
        except PySparkException as error:
            reason = lost(error) or said(str(error).strip())[0]
            message = f"the current table {table.name!r} could not be folded: {reason}"
            raise HeadraceError(message, hint="run the job again; nothing is lost or counted twice") from error


def fingerprint(contract: Contract) -> str:
    """What a current table depends on: when it differs from the stored one, the table is folded again from landing."""
    parts = [FORMAT, contract.version, contract.event_id, repr(contract.horizon) if contract.event_id else ""]
    parts += [f"{c.name} {c.spark} {c.key}" for c in contract.columns]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def floor_at(contract: Contract, landing: str, until: Offsets) -> Floor | None:
    """The last truncate or whole snapshot in the log before some offsets, if there is one: rows below it are gone."""
    floors = _next(contract, _State(""), look(landing, {}, until), until).floors
    return max(floors, key=lambda f: f.order, default=None)


def _unchanged(project: Project, table: Table) -> Current | None:
    """The table as it is, if nothing landed that it lacks; needs neither a lock nor Spark."""
    landed = _landed(project, table)
    if not landed:
        return Current(table, paths.current(project, table.name), None, {})
    commit = stored(paths.current(project, table.name))
    state = _State.from_json(commit.state) if commit else None
    if not commit or not state or state.contract != fingerprint(table.contract):
        return None
    if any(end > state.positions.get(p, 0) for p, end in landed.items()):
        return None
    return Current(table, paths.current(project, table.name), commit.version, landed, tuple(state.floors))


def _landed(project: Project, table: Table) -> Offsets:
    return {p: end for p, end in landing.positions(project, table.name).items() if end}


def _fold(project: Project, table: Table, session: Callable[[], SparkSession], rebuild: bool) -> Current:
    _check_names(table.contract)
    path, source = paths.current(project, table.name), paths.landing(project, table.name)
    landed = _landed(project, table)
    commit = stored(path)
    old = _State.from_json(commit.state) if commit else _State("")
    if rebuild or old.contract != fingerprint(table.contract):
        old, commit = _State(""), None
    arrivals = look(source, old.positions, landed)
    new = _next(table.contract, old, arrivals, landed)
    if commit and not arrivals.data and new.floors == old.floors:
        # Markers only. Their positions are covered without a commit: the next fold glances at them again.
        return Current(table, path, commit.version, landed, tuple(old.floors))
    spark = session()
    suit(spark, sum(landed.values()))
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", metadata(new.to_json(), "fold of landed changes"))
    try:
        floor = max(new.floors, key=lambda f: f.order, default=None)
        if commit is None:
            rows = spark.sql(_first(table.contract, source, landed, floor))
            rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(path)
        elif table.contract.event_id:
            if arrivals.first is not None:
                spark.sql(events.merge(table.contract, path, source, old.positions, landed, arrivals.first)).collect()
        else:
            spark.sql(shape.merge(table.contract, path, source, old.positions, landed, floor)).collect()
        if commit:
            tidy(spark, path, commit.version + 1)
    finally:
        spark.stop()
    after = stored(path)
    if after is None or after.state.get("positions") != new.to_json()["positions"]:
        raise HeadraceError(f"somebody else wrote {path} during the fold", hint="run the job again")
    return Current(table, path, after.version, landed, tuple(new.floors))


def _first(contract: Contract, source: str, landed: Offsets, floor: Floor | None) -> str:
    if contract.event_id:
        return events.first_load(contract, source, landed)
    return shape.latest(contract, source, {}, landed, floor)


def _next(contract: Contract, old: _State, arrivals: Arrivals, landed: Offsets) -> _State:
    """The state after a fold: a truncate counts at once, a snapshot when each partition has landed past its end.

    Before that, a key of the new snapshot could still be on its way in another partition, and would be missing for a
    while if the old row were taken away already.
    """
    last = dict(old.last)
    for partition, at in arrivals.last.items():
        last[partition] = max(at, last.get(partition, at))
    new = replace(old, contract=fingerprint(contract), positions=landed, floors=list(old.floors), pending=[], last=last)
    if contract.event_id:
        return new  # events are never taken back
    for floor in (*old.pending, *arrivals.floors):
        complete = floor.kind == "truncate" or all(at >= floor.at for at in last.values())
        known = new.floors if complete else new.pending
        if floor.order not in {other.order for other in known}:
            known.append(floor)
    new.pending = [floor for floor in new.pending if floor.order not in {other.order for other in new.floors}]
    new.floors.sort(key=lambda f: f.order)
    return new


def _check_names(contract: Contract) -> None:
    own = {m.split()[0] for m in shape.METADATA}
    for column in contract.names:
        if column.lower() in own:
            raise HeadraceError(
                f"column {column!r} of {contract.table!r} has a name that Headrace keeps for itself",
                place=contract.place,
            )
