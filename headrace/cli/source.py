"""Pull a source, check its health, see how its columns changed, or compact its landing tables."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headrace.cli.context import Format, project, show
from headrace.errors import HeadraceError

app = typer.Typer(help=__doc__, no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The source: the name of its file in lake/sources/.")]
Listing = Annotated[Format, typer.Option("--format", help="How to print.")]
_ALL = "All sources when left out."


@app.command()
def pull(name: Name, format: Listing = Format.table) -> None:
    """Bring what a source of kind files, jdbc, rest, cassandra or neo4j has and the last pull had not."""
    from headrace.audit import dead_jobs
    from headrace.pulls.pull import pull as pull_source

    opened = project()

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(text, file=sys.stderr)

    result = pull_source(opened, opened.source(name), say)
    show([{"table": table, "rows": rows} for table, rows in result["tables"].items()], format)
    for table in result["paused"]:
        print(f"{table} is paused and was not pulled", file=sys.stderr)
    if result["skipped"]:
        hint = "they are pulled as soon as they can be read"
        raise HeadraceError(*(f"not pulled: {reason}" for reason in result["skipped"]), hint=hint)
    dead_jobs.pulled(opened, name, result)


@app.command()
def check(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_ALL)] = None,
    act: Annotated[bool, typer.Option("--act", help="Also do what `limits` says where a log is above it.")] = False,
    format: Listing = Format.table,
) -> None:
    """Whether sources work: connection, connector, topics, log, last landed rows. Exit status 1 if one doesn't.

    The size of each log is kept in ops.sources. Airflow calls this with --act.
    """
    from headrace.ingest.limits import act as act_on
    from headrace.serve import lags
    from headrace.sources import health

    opened = project()
    sources = (opened.source(name),) if name else opened.sources
    done = [said for source in sources if act and source.mode == "cdc" and (said := act_on(opened, source))]
    for said in done:
        print(said, file=sys.stderr)
    rows = health.check(opened, sources)
    show([_brief(row) for row in rows] if format is Format.table else rows, format)
    captured = {row["source"]: row for row in rows if opened.source(row["source"]).mode == "cdc"}
    try:
        lags.record(opened, [row | {"note": row["note"] or row["wrong"]} for row in captured.values()])
    except HeadraceError as error:
        print(f"not recorded in ops.sources: {error.problems[0].message}", file=sys.stderr)
    if any(row["wrong"] for row in rows):
        raise typer.Exit(1)


def _brief(row: dict[str, object]) -> dict[str, object]:
    """A row for people: the log in one column."""
    from headrace.ingest.lag import LogLag

    held, seconds = row["log_bytes"], row["log_seconds"]
    log = LogLag("", held, seconds).text.removeprefix("log ")  # type: ignore[arg-type]
    kept = {name: value for name, value in row.items() if not name.startswith("log_")}
    first = {name: kept[name] for name in ("source", "table", "state", "last_landed", "drifted")}
    return {**first, "log": log, "note": kept["note"], "wrong": kept["wrong"]}


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_ALL)] = None, format: Listing = Format.table
) -> None:
    """How the columns of sources differ from their contracts, since when, and the contract's lines that mend it."""
    from headrace.ingest import drift

    opened = project()
    rows, problems = drift.look(opened, (opened.source(name),) if name else opened.sources)
    show(rows, format, ("source", "table", "column", "change", "since", "effect", "contract"))
    if problems:
        raise HeadraceError(*problems)


@app.command()
def compact(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help=_ALL)] = None, format: Listing = Format.table
) -> None:
    """Merge the small files that landing writes into large ones. Changes no row; safe while landing goes on."""
    from headrace.lake import landing, paths

    opened = project()
    sources = (opened.source(name),) if name else opened.sources
    found = []
    for table in (table for source in sources for table in source.tables):
        for zone, address in (("landing", paths.landing), ("quarantine", paths.quarantine)):
            found.append({"table": table.name, "zone": zone, **landing.compact(address(opened, table.name))})
    show([row for row in found if row["zone"] == "landing" or row["files_before"]], format)
