"""`headrace audit`: proof that nothing is missing."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from headrace.cli.context import Format, fail, project, show
from headrace.errors import HeadraceError

COLUMNS = ("source", "table", "verdict", "rows", "quarantined", "missing", "extra", "different", "twice", "current",
           "seconds", "note")  # fmt: skip


def command(
    name: Annotated[
        str, typer.Argument(metavar="[SOURCE[.TABLE] | VIEW]", help="Everything that can be audited, when left out.")
    ] = "",
    views: Annotated[bool, typer.Option("--views", help="Only the batch views.")] = False,
    keys: Annotated[
        str | None, typer.Option("--keys", metavar="FIRST..LAST", help="Only this range of whole-number keys.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until landing must have caught up.")] = 300.0,
    format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """Prove that source, landing and current tables hold the same rows, and that views are what their jobs compute.

    A table is read once, in a consistent snapshot that locks nothing, while services go on writing, and compared at
    that position of the source's log: the number of rows and a checksum that doesn't depend on their order; where they
    differ, the keys are named. Rows in quarantine are counted apart. Cassandra has no such position: its tables are
    compared with what their last pull listed. A view is computed again from the inputs that its published run read.
    Results stay in ops.certificates. Exit status 1 unless everything is proven.
    """
    from headrace.audit import certificate, listing, verdict
    from headrace.audit.keys import parse
    from headrace.audit.views import audit_view
    from headrace.serve.certificates import record

    opened = project()
    within = parse(keys) if keys else None
    jobs = [job for job in opened.jobs if job.kind == "batch" and name in ("", job.name)]
    found: list[Any] = []
    failed: list[HeadraceError] = []
    for source, tables in [] if views or (name and jobs) else certificate.chosen(opened, name):
        try:
            if source.listed:
                if within:
                    raise HeadraceError(f"source {source.name!r} is audited whole", hint="leave --keys out")
                found += listing.audit(opened, source, tables, timeout, _say)
            else:
                found += certificate.audit(opened, source, tables, timeout, within, _say)
        except HeadraceError as error:  # one source that is away doesn't keep the others from being audited
            failed.append(error)
    for job in jobs:
        _say(f"computing {job.name} again")
        found.append(audit_view(opened, job))
    record(opened, [one.to_json() for one in found])
    show([one.summary() for one in found], format, COLUMNS)
    wrong = verdict.problem(found)
    for error in [*failed, *([wrong] if wrong else [])]:
        fail(error)
    if failed or wrong:
        raise typer.Exit(1)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"  {text} …", file=sys.stderr, flush=True)
