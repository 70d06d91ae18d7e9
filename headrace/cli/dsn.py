"""headrace dsn [serving | SOURCE]: an address for psql, the mariadb client, SQLAlchemy and BI tools."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from headrace.cli.context import project
from headrace.errors import HeadraceError, did_you_mean


class Role(StrEnum):
    """Roles of the serving database."""

    reader = "reader"
    writer = "writer"
    headrace = "headrace"


def command(
    of: Annotated[
        str, typer.Argument(metavar="[serving|SOURCE]", help="The serving database, or a source.")
    ] = "serving",
    role: Annotated[
        Role, typer.Option(help="Role in the serving database: reader only reads, writer fills it, headrace owns it.")
    ] = Role.reader,
    client: Annotated[
        bool, typer.Option("--client", help="As arguments of psql or of the mariadb client, which takes no address.")
    ] = False,
) -> None:
    """Print the address of the serving database or of a source, with its password."""
    found = project()
    if of == "serving":
        address = found.addresses.serving(role.value)
    else:
        if of not in {s.name for s in found.sources}:
            raise HeadraceError(
                f"there is no source {of!r}", hint=did_you_mean(of, ["serving", *(s.name for s in found.sources)])
            )
        source = found.source(of)
        if source.mode == "events":
            address = found.addresses.bus
        elif source.kind == "files":
            address = str((found.root / source.path).resolve())
        else:
            address = found.addresses.source(source)
    # `mariadb://` alone makes SQLAlchemy look for a driver that has to be compiled; Headrace installs pymysql.
    if address.startswith("mariadb://"):
        address = address.replace("mariadb://", "mariadb+pymysql://", 1)
    print(arguments(address) if client else address)


def arguments(address: str) -> str:
    """The address as arguments of its command line client."""
    parts = urlsplit(address)
    if parts.scheme.startswith(("mariadb", "mysql")):
        user, password, database = unquote(parts.username or ""), unquote(parts.password or ""), parts.path.lstrip("/")
        return f"--host={parts.hostname} --port={parts.port or 3306} --user={user} --password={password} {database}"
    return address
