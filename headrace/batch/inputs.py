"""The tables a batch job sees: temp views over exactly the versions and positions that its run records."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.batch import shape
from headrace.batch.current import Current, refresh
from headrace.batch.history import history
from headrace.batch.session import session
from headrace.errors import HeadraceError
from headrace.lake import observed, paths
from headrace.lake.arrivals import Floor
from headrace.lake.commits import state_at, stored
from headrace.project import Contract, Input, Job, Project, Table
from headrace.serve.database import connect
from headrace.serve.ops import Positions, from_json, published

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

AT_ONCE = 3  # current tables folded at the same time: more would only wait for each other's cores


@dataclass(frozen=True)
class Ready:
    """A job's inputs: SQL per name, the positions they cover, and what tells that none of them changed."""

    views: dict[str, str]
    positions: Positions
    versions: dict[str, str]


def prepare(project: Project, job: Job, rebuild: bool = False) -> Ready:
    """Brings the job's tables up to date and says what each name in it means."""
    tables = list(dict.fromkeys(_table(project, i) for i in job.inputs if _table(project, i)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folded = pool.map(lambda name: refresh(project, project.table(name), lambda: session(project), rebuild), tables)
        current = dict(zip(tables, folded, strict=True))
    views: dict[str, str] = {}
    versions: dict[str, str] = {}
    positions: Positions = {t: dict(c.positions) for t, c in current.items()}
    for one in job.inputs:
        table = current.get(_table(project, one))
        if table:
            views[one.name] = _of_table(project, table, "" if one.name in project.tables else one.variant)
            versions[table.table.name] = f"{table.path}@{table.version}"
        else:
            views[one.name], versions[one.name], covered = _of_view(project, job, one.name)
            _narrow(positions, covered)
    return Ready(views, positions, versions)


def prepared_at(project: Project, job: Job, positions: Positions, versions: dict[str, str]) -> Ready:
    """The inputs as a past run had them, from the versions and positions that it recorded.

    Raises HeadraceError when one of them is gone, or was never recorded.
    """
    views: dict[str, str] = {}
    for one in job.inputs:
        table = _table(project, one)
        path, _, version = versions.get(table or one.name, "").rpartition("@")
        if table and version == "None":
            views[one.name] = _nothing(project.table(table).contract, one.variant if one.name != table else "")
        elif not version:
            raise HeadraceError(f"the run did not record what it read of {one.name!r}", hint=f"headrace run {job.name}")
        elif table:
            state = state_at(path, int(version))
            if state is None:
                raise HeadraceError(f"the log no longer holds version {version} of {table!r}")
            floors = tuple(Floor.from_json(f) for f in state.get("floors", []))
            then = _as_of(project, table, path, int(version))
            current = Current(then, path, int(version), positions.get(table, {}), floors)
            views[one.name] = _of_table(project, current, "" if one.name == table else one.variant)
        else:
            views[one.name] = f"SELECT * FROM {shape.table(path, int(version))}"
    return Ready(views, positions, versions)


def register(spark: SparkSession, ready: Ready) -> None:
    """Makes the names known to a session."""
    for name, query in ready.views.items():
        spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW {shape.name(name)} AS {query}")


def latest(contract: Contract, path: str, version: int) -> str:
    """The view `<table>`: the latest row per key, or every event that counts."""
    return f"SELECT {', '.join(map(shape.name, contract.names))} FROM {shape.table(path, version)} WHERE NOT _deleted"


def _table(project: Project, one: Input) -> str:
    """The table that an input is a form of; '' when it is a view. A table's own name may end in _changes, too."""
    return one.name if one.name in project.tables else one.table if one.table in project.tables else ""


def _as_of(project: Project, name: str, path: str, version: int) -> Table:
    """The table with the columns that its current table had at that version."""
    from deltalake import DeltaTable

    table = observed.effective(project, project.table(name))
    there = {field.name for field in DeltaTable(path, version=version).schema().fields}
    columns = tuple(c for c in table.contract.columns if c.name in there)
    return replace(table, contract=replace(table.contract, columns=columns))


def _of_table(project: Project, current: Current, variant: str) -> str:
    contract, landing = current.table.contract, paths.landing(project, current.table.name)
    if current.version is None:
        return _nothing(contract, variant)
    if variant == "":
        return latest(contract, current.path, current.version)
    if contract.event_id:
        changes = _events(contract, current.path, current.version)
    else:
        changes = shape.flat(contract, landing, current.positions)
    if variant == "changes":
        return changes
    return history(contract, current, landing)


def _events(contract: Contract, path: str, version: int) -> str:
    names = [shape.name(n) for n in contract.names if n not in shape.OWN]
    columns = ", ".join([*names, *(f"_{own} AS {own}" for own in shape.OWN)])
    return f"SELECT {columns} FROM {shape.table(path, version)} WHERE NOT _deleted"


def _nothing(contract: Contract, variant: str) -> str:
    """A table that never landed anything, with its columns."""
    extra = {
        "": [],
        "changes": ["op STRING", "event_time TIMESTAMP", "appended_at TIMESTAMP"],
        "history": ["valid_from TIMESTAMP", "valid_to TIMESTAMP"],
    }[variant]
    own = {e.split()[0] for e in extra}
    columns = [f"{shape.name(c.name)} {c.spark}" for c in contract.columns if c.name not in own] + extra
    casts = ", ".join(f"CAST(NULL AS {c.rpartition(' ')[2]}) AS {c.rpartition(' ')[0]}" for c in columns)
    return f"SELECT {casts} WHERE false"


def _of_view(project: Project, job: Job, name: str) -> tuple[str, str, Positions]:
    path = paths.batch(project, name)
    commit = stored(path)
    if commit is None:
        place = next((i.place for i in job.inputs if i.name == name), None)
        raise HeadraceError(
            f"the view {name!r} has not run yet, and {job.name} reads it", place=place, hint=f"headrace run {name}"
        )
    with connect(project) as connection:
        known = published(connection, name)
    if name in project.contracts and not (known and commit.state.get("run_id") == str(known.run_id)):
        # The newest rows were refused by the view's checks, or are not checked yet: the published ones count.
        if known is None or known.lake_version < 0:
            place = next((i.place for i in job.inputs if i.name == name), None)
            raise HeadraceError(
                f"the view {name!r} was never published, and {job.name} reads it",
                place=place,
                hint=f"headrace quality {name}   shows its checks",
            )
        version = known.lake_version
        return f"SELECT * FROM {shape.table(path, version)}", f"{path}@{version}", known.positions
    # A run that found nothing changed moves the published positions without a new version in the lake.
    same = known is not None and known.lake_version == commit.version
    covered = known.positions if known and same else from_json(commit.state.get("positions"))
    return f"SELECT * FROM {shape.table(path, commit.version)}", f"{path}@{commit.version}", covered


def _narrow(positions: Positions, covered: Positions) -> None:
    """A view that reads a table twice, itself and through another view, covers what both cover."""
    for table, parts in covered.items():
        mine = positions.get(table)
        positions[table] = dict(parts) if mine is None else {p: min(o, parts.get(p, 0)) for p, o in mine.items()}
