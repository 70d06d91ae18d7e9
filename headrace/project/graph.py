"""Who reads whom: the jobs of a project checked against its tables and against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from headrace.errors import Place, Problem, did_you_mean
from headrace.project.job import Input, Job
from headrace.project.source import Source, Table


def repeated_tables(sources: Iterable[Source]) -> list[Problem]:
    """A problem for each table that an earlier source has already."""
    seen: dict[str, Table] = {}
    topics: dict[str, Table] = {}
    problems = []
    for table in (t for s in sources for t in s.tables):
        if table.name in seen:
            message = f"table {table.name!r} is also in source {seen[table.name].source!r}"
            problems.append(Problem(message, table.place, "tables share their names in a project: choose another"))
        elif table.topic in topics:
            message = f"table {table.name!r} comes from the same place as {topics[table.topic].name!r}: {table.origin}"
            problems.append(Problem(message, table.place, "take each table once"))
        seen.setdefault(table.name, table)
        topics.setdefault(table.topic, table)
    return problems


def shared_servers(sources: list[Source], broken: Iterable[str]) -> tuple[list[Source], list[Source], list[Problem]]:
    """The sources whose connection.source is a database of the project, the others, and a problem for each of those."""
    databases = {s.name for s in sources if s.kind in {"postgresql", "mariadb"}}
    broken, good, lost, problems = set(broken), [], [], []
    for source in sources:
        if not source.server or source.server in databases:
            good.append(source)
            continue
        lost.append(source)
        if source.server in broken:
            message = f"connection.source can't be used: {source.server!r} has mistakes of its own"
            hint = f"mend lake/sources/{source.server}.yml first"
            problems.append(Problem(message, source.place, hint, follows=True))
        else:
            message = f"connection.source names no database of the project: {source.server!r}"
            problems.append(Problem(message, source.place, did_you_mean(source.server, databases)))
    return good, lost, problems


def good_jobs(
    jobs: list[Job], tables: Mapping[str, Table], contracts: Iterable[str], broken: Mapping[str, str]
) -> tuple[list[Job], list[Problem]]:
    """The jobs that can run, and a problem for each reason that another can't.

    `broken` names tables and views whose own file has mistakes, with that file.
    """
    problems = _repeated_names(jobs, tables)
    views = {j.name: j for j in reversed(jobs) if j.kind == "batch"}
    streams = {j.name for j in jobs if j.kind == "stream"}
    left_out = {p.place.path for p in problems if p.place}
    for job in jobs:
        known = _readable(job, set(tables), set(views))
        for item in job.inputs:
            if item.name in known:
                continue
            left_out.add(job.path)
            problems.append(_unknown(job, item, known, set(tables), set(contracts), streams, broken))
    for circle in _circles(views):
        problems.append(circle[1])
        left_out |= circle[0]
    good = [j for j in jobs if j.path not in left_out]
    while True:  # what reads a view that is left out can't run either; the view's own problem says why
        names = {j.name for j in good}
        waiting = [
            j for j in good if any(i.name in views and i.name not in names for i in j.inputs if j.kind == "batch")
        ]
        if not waiting:
            return good, problems
        good = [j for j in good if j not in waiting]


def _readable(job: Job, tables: set[str], views: set[str]) -> set[str]:
    changes = {f"{t}_changes" for t in tables}
    if job.kind == "stream":
        return changes  # a stream reads changes; the latest row per key is the lake's
    return tables | changes | {f"{t}_history" for t in tables} | (views - {job.name})


def _unknown(
    job: Job,
    item: Input,
    known: set[str],
    tables: set[str],
    contracts: set[str],
    streams: set[str],
    broken: Mapping[str, str],
) -> Problem:
    def problem(message: str, hint: str, follows: bool = False) -> Problem:
        return Problem(f"{job.name} reads {item.name!r}{message}", item.place, hint, follows)

    if item.name == job.name:
        return problem(", which is itself", "a view is computed from tables and other views")
    if item.table in broken or item.name in broken:
        file = broken.get(item.name) or broken[item.table]
        return problem(", which has mistakes of its own", f"mend {file} first", follows=True)
    if job.kind == "stream" and item.name in tables:
        hint = f"did you mean '{item.name}_changes'? A stream job reads changes as they come."
        return problem(", the latest row per key, which only batch jobs can", hint)
    if job.kind == "stream" and item.variant == "history" and item.table in tables:
        hint = f"did you mean '{item.table}_changes'? A stream job reads changes as they come."
        return problem(", which only batch jobs can", hint)
    if item.name in streams:
        return problem(
            ", which is a stream job", "a job reads tables" + (" and batch views" if job.kind == "batch" else "")
        )
    if item.table in contracts:
        hint = f"name {item.table} under `tables` of a source in lake/sources/"
        return problem(", which has a contract but comes from no source", hint)
    if "." in item.name:
        hint = did_you_mean(item.name.rpartition(".")[2], known)
        return problem(", but tables and views of a project have no schema", hint)
    near = did_you_mean(item.name, known)
    plain = {n for n in known if not n.endswith(("_changes", "_history"))} or known
    return problem(", which is not there", near if near.startswith("did you") else did_you_mean(item.name, plain))


def _repeated_names(jobs: list[Job], tables: Mapping[str, Table]) -> list[Problem]:
    seen: dict[str, Job] = {}
    problems = []
    for job in jobs:
        other = seen.setdefault(job.name, job)
        if job.name in tables:
            where = f"the table of source {tables[job.name].source!r}"
        elif other is not job:
            where = "/".join(other.path.parts[-3:])
        else:
            continue
        hint = "tables and views share their names: choose another file name"
        problems.append(Problem(f"the name {job.name!r} is taken by {where}", Place(job.path), hint))
    return problems


def _circles(views: Mapping[str, Job]) -> list[tuple[set[Path], Problem]]:
    """Batch views that read each other in a circle, each circle once, with the files in it."""
    found: list[tuple[set[Path], Problem]] = []
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            circle = way[way.index(name) :]
            paths = {views[n].path for n in circle}
            if paths not in [f[0] for f in found]:
                first = min(circle)
                turn = circle[circle.index(first) :] + circle[: circle.index(first)]
                place = next(i.place for i in views[first].inputs if i.name == [*turn, first][1])
                shown = " → ".join([*turn, first])
                hint = "one of them must read tables only"
                found.append((paths, Problem(f"these views read each other in a circle: {shown}", place, hint)))
            return
        if name in done:
            return
        for item in views[name].inputs:
            if item.name in views and item.name != name:
                walk(item.name, [*way, name])
        done.add(name)

    for name in sorted(views):
        walk(name, [])
    return found
