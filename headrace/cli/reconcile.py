"""`headrace reconcile`: whether the layers of a live view agree, in words, and the repair of the speed layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.context import Format, project, show
from headrace.errors import HeadraceError, did_you_mean

if TYPE_CHECKING:
    from headrace.project import Job, Project

KEYS = ("cause", "key", "batch", "speed")


def command(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A batch view with `live: true`.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Build the speed layer anew from the cut, beside the old one, and switch.")
    ] = False,
    format: Annotated[Format, typer.Option("--format", help="How to print; csv has the keys alone.")] = Format.table,
) -> None:
    """Say whether batch and speed layer of a live view agreed when they were compared last, and why not.

    Each run of a live view compares both layers, key by key, over the chunks of the log that both have, before it
    switches. Where they differ, the old pair stays and each key has a cause: late, dropped, duplicate, code version or
    unknown. Every comparison is in ops.reconciliation, its keys in ops.reconciliation_keys. Exit status 1 when the
    newest found a difference. --repair fills a new version of the view and its speed layer from the log, and switches
    when it has caught up; readers see the old one until then.
    """
    from headrace.live import words
    from headrace.serve import reconciliation, schema
    from headrace.serve.database import connect

    opened = project()
    job = _chosen(opened, view)
    schema.ensure(opened)
    if repair:
        _repair(opened, job, format)
    with connect(opened, "reader") as connection:
        row = reconciliation.newest(connection, view)
        keys = reconciliation.keys(connection, row["id"]) if row else []
        before = words.still_open(row) if row else []
        if before and (earlier := reconciliation.newest(connection, view, "different")):
            before += words.explain(earlier, reconciliation.keys(connection, earlier["id"]))
    _print(view, row, keys, before, format)
    if row and row["state"] == "different" and not row["replaced"]:
        raise typer.Exit(1)


def _chosen(opened: Project, view: str) -> Job:
    from headrace.cli.run import named

    lives = [job.name for job in opened.jobs if job.kind == "batch" and job.live]
    if view not in lives and view in {job.name for job in opened.jobs}:
        raise HeadraceError(f"{view!r} is not a live view: it has one layer", hint=did_you_mean(view, lives))
    return named(opened, view)


def _repair(opened: Project, job: Job, format: Format) -> None:
    from headrace.serve import reconciliation
    from headrace.serve.database import connect

    with connect(opened) as connection:
        generation = reconciliation.repair(connection, job.name)
    if generation is None:
        raise HeadraceError(f"the live view {job.name!r} was never published", hint=f"headrace run {job.name}")
    from headrace.live.run import run

    done = run(opened, job)
    if format is Format.table:
        print(f"{job.name}: {done.state}, with a new speed layer (generation {generation})")


def _print(
    view: str, row: dict[str, Any] | None, keys: list[dict[str, Any]], before: list[str], format: Format
) -> None:
    from headrace.live.words import explain
    from headrace.serve.reconciliation import to_json

    if format is Format.json:
        found: list[dict[str, object]] = [{**row, "differences": keys}] if row else []
        show(found, format)
    elif format is Format.csv:
        listed: list[dict[str, object]] = [{**k, **{n: to_json(k[n]) for n in KEYS[1:]}} for k in keys]
        show(listed, format, KEYS)
    elif row is None:
        print(f"{view}: its layers were not compared yet; each run that moves the cut compares them")
    else:
        print("\n".join([*explain(row, keys), *before]))
