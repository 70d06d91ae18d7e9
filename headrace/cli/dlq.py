"""Rows in quarantine and jobs that failed for good: list them, try again after a fix, or give them up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.context import Format, project, show
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.lake.selection import Selection

app = typer.Typer(help=__doc__, no_args_is_help=True)
_TIME = "UTC, such as 2026-01-31T12:00, or how long ago: 30m, 2h, 7d."
Source = Annotated[str, typer.Option("--source", metavar="NAME", help="Only rows of this source.")]
Table = Annotated[str, typer.Option("--table", metavar="NAME", help="Only rows of this table, or of _unknown.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Only rows whose reason contains this.")]
Since = Annotated[str, typer.Option("--since", metavar="TIME", help=f"Only rows rejected since then. {_TIME}")]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Only rows rejected before then.")]
Listing = Annotated[Format, typer.Option("--format", help="How to print.")]
JOBS = ("job", "kind", "times", "failed_at", "error", "command")
COUNTS = ("source", "table", "reason", "column", "open", "replayed", "dropped", "first", "last")


@app.command(name="list")
def list_(
    source: Source = "",
    table: Table = "",
    reason: Reason = "",
    since: Since = "",
    until: Until = "",
    format: Listing = Format.table,
) -> None:
    """How many rows were rejected why, and how many of them are open, replayed or dropped."""
    from headrace.lake import letters
    from headrace.lake.shown import count

    here = project()
    found = letters.groups(here, _selection(source, table, reason, since, until))
    _show([count(group) if format is Format.table else group for group in found], format, COUNTS)
    if format is Format.table and (failed := _failed_jobs()):
        print(f"\nfailed for good: {', '.join(str(row['job']) for row in failed)}; headrace dlq jobs   says more")


@app.command()
def jobs(format: Listing = Format.table) -> None:
    """Jobs that failed on every try: how often, when, why, and the command that runs each again."""
    from headrace.serve import ops

    rows = ops.dead_jobs(project())
    short = [{**row, "error": str(row["error"]).strip().split("\n")[0][:80]} for row in rows]
    _show(short if format is Format.table else rows, format, JOBS, "no job has failed for good")


@app.command(name="show")
def show_(
    source: Source = "",
    table: Table = "",
    reason: Reason = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many, the newest.")] = 20,
    format: Listing = Format.table,
) -> None:
    """The rows themselves: position, reason, key, value. A table cuts long values, json and csv have all of them."""
    from headrace.lake import letters
    from headrace.lake.shown import brief, full

    found = letters.find(project(), _selection(source, table, reason, since, until), limit=limit)
    _show([brief(letter) if format is Format.table else full(letter) for letter in found], format)


@app.command()
def replay(
    source: Source = "",
    table: Table = "",
    reason: Reason = "",
    since: Since = "",
    until: Until = "",
    job: Annotated[str, typer.Option("--job", metavar="NAME", help="No rows, but this job that failed for good.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Send also what would be rejected again.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that landing is given.")] = 120.0,
    format: Listing = Format.table,
) -> None:
    """Send open rows again that the contract now accepts. Each lands once, also if this is killed and run again."""
    if job:
        from headrace.audit import dead_jobs

        print(dead_jobs.replay(project(), job))
        return
    from headrace.audit.replay import replay as replay_selected

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"  {text} …", file=sys.stderr, flush=True)

    selection = _selection(source, table, reason, since, until)
    _show(replay_selected(project(), selection, force, timeout, say), format, nothing="nothing is open in quarantine")


@app.command()
def drop(
    why: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why they are given up; it is recorded.")],
    source: Source = "",
    table: Table = "",
    rejected: Annotated[
        str,
        typer.Option("--rejected", metavar="TEXT", help="Only rows that were rejected for a reason containing this."),
    ] = "",
    since: Since = "",
    until: Until = "",
    job: Annotated[str, typer.Option("--job", metavar="NAME", help="No rows, but this job that failed for good.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All open rows: needed when nothing limits them.")] = False,
    format: Listing = Format.table,
) -> None:
    """Give up open rows, with a reason. Their bytes stay in quarantine, but nothing lists or replays them as open."""
    from headrace.audit.replay import drop as drop_selected

    if not why.strip():
        raise HeadraceError("a decision needs its reason", hint='--reason "test data of the old app"')
    if job:
        from headrace.audit import dead_jobs

        print(dead_jobs.drop(project(), job, why))
        return
    if not (everything or any((source, table, rejected, since, until))):
        hint = "--table, --source, --rejected, --since or --until say which rows; --all drops every open row"
        raise HeadraceError("this would drop every open row of the project", hint=hint)
    selection = _selection(source, table, rejected, since, until)
    _show(drop_selected(project(), selection, why), format, nothing="nothing is open in quarantine")


def _failed_jobs() -> list[dict[str, object]]:
    """What of jobs failed for good; nothing where the serving database is away, since rows are listed without it."""
    from headrace.serve import ops

    try:
        return ops.dead_jobs(project())
    except HeadraceError:
        return []


def _selection(source: str, table: str, reason: str, since: str, until: str) -> Selection:
    from datetime import UTC, datetime

    from headrace.lake.selection import Selection, moment

    now = datetime.now(UTC)
    return Selection(
        source, table, reason, moment(since, now) if since else None, moment(until, now) if until else None
    )


def _show(
    rows: list[dict[str, object]],
    format: Format,
    columns: tuple[str, ...] = (),
    nothing: str = "nothing is in quarantine",
) -> None:
    if rows or format is not Format.table:
        show(rows, format, columns)
    else:
        print(nothing)
