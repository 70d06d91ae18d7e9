"""Connections to the serving database, and locks that outlive no process: they live in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.concealed import masked
from headrace.errors import HeadraceError
from headrace.project import Project

if TYPE_CHECKING:
    import psycopg

# Waiting clients notice within half a minute that a server is gone, instead of after the kernel's two hours.
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
CONNECT_SECONDS = 10


def connect(project: Project, role: str = "writer", autocommit: bool = True) -> psycopg.Connection:
    """A connection as 'writer', as 'reader' or as the owner 'headrace', in UTC; HeadraceError when the server is not
    there. What Headrace does for itself it does as the writer; the owner is for `headrace.serve.schema`."""
    import psycopg

    address = project.addresses.serving(role)
    options = {
        **_KEEPALIVE,
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "headrace",
        "options": "-c timezone=UTC",
    }
    try:
        return psycopg.connect(address, autocommit=autocommit, **options)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        hint = f"headrace status   (or `serving:` in headrace.yml is wrong)\n{reason}"
        raise HeadraceError(f"the serving database at {masked(address)} does not answer", hint=hint) from None


@contextmanager
def locked(project: Project, name: str) -> Iterator[psycopg.Connection]:
    """Holds the lock `name` for the block; others wait. Yields the connection that holds it.

    The lock is PostgreSQL's: it goes when the connection does, so a killed process never leaves it behind. If the
    server restarts inside the block the lock is lost; `still_held` tells.
    """
    with connect(project) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"headrace {name}",))
        yield connection  # closing the connection releases the lock


def still_held(connection: psycopg.Connection) -> bool:
    """Whether the connection of a lock still lives, and with it the lock."""
    import psycopg

    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
