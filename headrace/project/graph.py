"""Who reads whom: the jobs of a project checked against its tables and against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Names:
    """Everything in a project that a job could mean by a name."""

    tables: Mapping[str, Table]
    contracts: Collection[str]
    broken: Mapping[str, str]  # tables and views whose own file has mistakes → that file
    views: Collection[str] = ()
    live: Collection[str] = ()  # those of the views that are live
    streams: Collection[str] = ()

    def readable(self, job: Job) -> set[str]:
        """What the job may read."""
        changes = {f"{t}_changes" for t in self.tables}
        if job.kind == "stream":
            return changes  # a stream reads changes; the latest row per key is the lake's
        views = {*self.views} - {*self.live, job.name}
        return {*self.tables, *changes, *(f"{t}_history" for t in self.tables), *views}


def good_jobs(jobs: list[Job], names: Names) -> tuple[list[Job], list[Problem]]:
    """The jobs that can run, and a problem for each reason that another can't."""
    problems = _repeated_names(jobs, names.tables)
    views = {j.name: j for j in reversed(jobs) if j.kind == "batch"}
    live = {name for name, job in views.items() if job.live}
    names = replace(names, views=views, live=live, streams={j.name for j in jobs if j.kind == "stream"})
    left_out = {p.place.path for p in problems if p.place}
    for job in jobs:
        wrong = [_unknown(job, i, names) for i in job.inputs if i.name not in names.readable(job)]
        problems += wrong
        left_out |= {job.path} if wrong else set()
    for paths, problem in _circles(views):
        problems.append(problem)
        left_out |= paths
    good = [j for j in jobs if j.path not in left_out]
    while True:  # what reads a view that is left out can't run either; the view's own problem says why
        there = {j.name for j in good}
        waiting = [j for j in good if j.kind == "batch" and any(i.name in views.keys() - there for i in j.inputs)]
        if not waiting:
            return good, problems
        good = [j for j in good if j not in waiting]


def _unknown(job: Job, item: Input, names: Names) -> Problem:
    def problem(message: str, hint: str, follows: bool = False) -> Problem:
        return Problem(f"{job.name} reads {item.name!r}{message}", item.place, hint, follows)

    known = names.readable(job)
    if item.name == job.name:
        return problem(", which is itself", "a view is computed from tables and other views")
    if file := names.broken.get(item.name) or names.broken.get(item.table):
        return problem(", which has mistakes of its own", f"mend {file} first", follows=True)
    if job.kind == "stream" and item.name in names.tables:
        hint = f"did you mean '{item.name}_changes'? A stream job reads changes as they come."
        return problem(", the latest row per key, which only batch jobs can", hint)
    if job.kind == "stream" and item.variant == "history" and item.table in names.tables:
        hint = f"did you mean '{item.table}_changes'? A stream job reads changes as they come."
        return problem(", which only batch jobs can", hint)
    if job.kind == "stream" and item.name in names.views:
        return problem(", which is a batch view", f"a stream job reads changes, such as {min(known, default='')}")
    if item.name in names.live:
        hint = f"read the tables that {item.name} reads, or take `live` out of its header"
        return problem(", which is a live view: its rows are in the serving database, not in the lake", hint)
    if item.name in names.streams:
        return problem(", which is a stream job", "a job reads tables" + (" and batch views" * (job.kind == "batch")))
    if item.table in names.contracts:
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
