"""Add a source: its file and a contract for each table, written from what the source itself says."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from headrace.cli.context import project, state
from headrace.errors import HeadraceError, Place, Problem

app = typer.Typer(help=__doc__, no_args_is_help=True)
_WHERE = (
    "Its address with ${NAME} for the password, in single quotes; or a folder; or the kind of a running local server."
    " Objects of a bucket: 's3://KEY:${SECRET}@bucket/folder'."
)


@app.command()
def source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: lake/sources/NAME.yml.")],
    where: Annotated[str, typer.Argument(metavar="KIND|URL|FOLDER", help=_WHERE)],
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="GLOB", help="Tables to take, such as 'sales.*'; again for more."),
    ] = None,
    pull: Annotated[
        bool, typer.Option("--pull", help="Pull a database by a growing column, where its log can't be read.")
    ] = False,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="'NAME: VALUE'", help="Sent to a REST service.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="Where the store of an s3:// address is, when not at AWS.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files and write none.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write files anew that are there.")] = False,
) -> None:
    """Ask a source for its tables; write its file and a contract for each. All files or none, and none over another."""
    from headrace.project import adding
    from headrace.project.names import name_problem
    from headrace.project.propose import propose
    from headrace.sources.ask import ask

    opened = project()
    path = opened.root / f"lake/sources/{name}.yml"
    if wrong := name_problem(name, "source", Place(path)):
        raise HeadraceError(*(Problem(p.message, None, p.hint) for p in wrong))
    if path.exists() and not (force or dry_run):
        raise HeadraceError("this file is there already", place=Place(path), hint="--force writes it anew")
    found = ask(
        opened, name, where, tables=tuple(table or ()), pull=pull, headers=tuple(header or ()), endpoint=endpoint
    )
    proposal = propose(name, found, adding.taken(opened.root, name))
    if not proposal.tables:
        raise HeadraceError(*(f"{origin} can't be taken: {why}" for origin, why in proposal.skipped))
    if problems := adding.problems(opened.root, proposal.files):
        raise HeadraceError(*problems)
    if dry_run:
        for file, text in proposal.files.items():
            print(f"--- {file}\n{text}")
    else:
        adding.write(opened.root, proposal.files, force)
    width = max(map(len, proposal.files))
    for file in proposal.files:
        there = " (is there already: needs --force)" if dry_run and (opened.root / file).exists() else ""
        print(f"  {file:<{width}}  {proposal.lines[file]}{there}")
    for origin, why in proposal.skipped:
        print(f"  not taken: {origin}: {why}")
    for note in proposal.notes:
        print(f"  note: {note}")
    if dry_run:
        print("\nnothing was written", file=sys.stderr)
        return
    here = "" if str(state.directory) == "." else f" -C {shlex.quote(str(state.directory))}"
    print("\nRead the contracts through. Next:\n")
    print(f"  headrace{here} check     every mistake in every file, without starting anything")
    print(f"  headrace{here} up        start what the source needs; its rows begin to land")
