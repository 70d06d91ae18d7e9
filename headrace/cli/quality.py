"""`headrace quality`: what the contracts' checks say of the rows."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from headrace.cli.context import Format, fail, project, show
from headrace.errors import HeadraceError

COLUMNS = ("table", "check", "severity", "result", "rows", "unexpected", "observed", "examples", "note")


def command(
    name: Annotated[
        str,
        typer.Argument(metavar="[SOURCE[.TABLE] | TABLE | VIEW]", help="All with a contract, when left out."),
    ] = "",
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the number of rows as it is now as the one to compare with next.")
    ] = False,
    format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.table,
) -> None:
    """Run the checks of contracts on current tables and published views, with Great Expectations.

    Tables are brought up to date first. What `required`, `unique` and the key say is checked, too. Results stay in
    ops.quality and in Great Expectations' data docs below .headrace/quality. Exit status 1 when a check of severity
    `error` fails: those keep the old views, too, when a view that reads the table is run.
    """
    from headrace.audit.quality import check_table, check_view, chosen, problem
    from headrace.quality.examine import Report
    from headrace.serve import schema

    opened = project()
    contracts, views = chosen(opened, name)
    if accept and not name:
        raise HeadraceError("--accept is for one table at a time", hint="headrace quality TABLE --accept")
    schema.ensure(opened)
    reports: list[Report] = []
    failed: list[HeadraceError] = []
    work = [(c.table, partial(check_table, opened, c, accept)) for c in contracts]
    work += [(v.name, partial(check_view, opened, v, accept)) for v in views]
    for what, check in work:
        _say(f"checking {what}")
        try:
            reports.append(check())
        except HeadraceError as error:  # one table that can't be read doesn't keep the others from being checked
            failed.append(error)
    show([line for report in reports for line in report.summaries()], format, COLUMNS)
    wrong = problem(reports)
    for error in [*failed, *([wrong] if wrong else [])]:
        fail(error)
    if failed or wrong:
        raise typer.Exit(1)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"  {text} …", file=sys.stderr, flush=True)
