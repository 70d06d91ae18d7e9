"""headrace run JOB: a batch view now, or a stream job submitted anew."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from headrace.cli.context import Format, project
from headrace.errors import HeadraceError
from headrace.project import Job, Project


def command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's file name without .sql or .py.")],
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="From the start: current tables folded again, or the topics read from their beginning."
        ),
    ] = False,
    ensure: Annotated[
        bool, typer.Option("--ensure", help="Stream jobs: do nothing when it runs as its file says.")
    ] = False,
    savepoint: Annotated[
        bool, typer.Option("--savepoint", help="Stream jobs: take a savepoint of the running job.")
    ] = False,
    format: Annotated[Format, typer.Option(help="table or json")] = Format.table,
) -> None:
    """Run a batch view now, or submit a stream job again."""
    found = project()
    chosen = named(found, job)
    if chosen.kind == "batch" and (ensure or savepoint):
        raise HeadraceError(f"{job} is a batch view", hint="--ensure and --savepoint are for stream jobs")
    if chosen.kind == "batch":
        from headrace.live.run import run

        done = run(found, chosen, full)
        said = f"{done.view}: {done.state}, {done.rows:,} rows in {done.seconds:.1f} s" + (
            f" ({done.note})" if done.note else ""
        )
        result: dict[str, object] = done.to_json()
    elif savepoint:
        from headrace.stream import ensure as stream

        result = {"job": chosen.name, "savepoint": stream.savepoint(found, chosen)}
        said = f"{chosen.name}: savepoint {result['savepoint']}"
    else:
        from headrace.stream import ensure as stream

        result = stream.ensure(found, chosen, restart=not ensure, full=full)
        said = f"{chosen.name}: " + ", ".join(
            f"{key} {value}" for key, value in result.items() if key != "job" and value
        )
    print(json.dumps(result, default=str) if format is Format.json else said)


def named(project: Project, name: str) -> Job:
    """The job of a name. A job whose file has mistakes is not in the project: then its mistakes are the error."""
    if name not in {j.name for j in project.jobs}:
        wrong = [
            p
            for p in project.problems
            if p.place and p.place.path.stem == name and p.place.path.parent.parent.name == "jobs"
        ]
        if wrong:
            raise HeadraceError(*wrong)
    return project.job(name)
