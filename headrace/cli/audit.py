"""`headrace audit`: proof that nothing is missing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.context import Format, fail, project, show
from headrace.errors import HeadraceError


def command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE[.TABLE]]", help="All sources whose database keeps a log, when left out."),
    ] = None,
    keys: Annotated[
        str | None, typer.Option("--keys", metavar="FIRST..LAST", help="Only this range of whole-number keys.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds until landing must have caught up.")] = 300.0,
    format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """Prove that source, landing and current tables hold the same rows, at one position of the source's log.

    Each table is read once, in a consistent snapshot that locks nothing, while services go on writing. Compared are the
    number of rows and a checksum that doesn't depend on their order; where they differ, the keys are named. Rows in
    quarantine are counted apart. Results stay in ops.certificates. Exit status 1 unless every table is proven.
    """
    from headrace.audit import certificate
    from headrace.audit.keys import parse
    from headrace.serve.certificates import record

    opened = project()
    within = parse(keys) if keys else None
    found: list[certificate.Certificate] = []
    failed: list[HeadraceError] = []
    for source, tables in certificate.chosen(opened, name):
        try:
            found += certificate.audit(opened, source, tables, timeout, within, _say)
        except HeadraceError as error:  # one source that is away doesn't keep the others from being audited
            failed.append(error)
    record(opened, [one.to_json() for one in found])
    show([one.summary() for one in found], format)
    wrong = certificate.problem(found)
    for error in [*failed, *([wrong] if wrong else [])]:
        fail(error)
    if failed or wrong:
        raise typer.Exit(1)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"  {text} …", file=sys.stderr, flush=True)
