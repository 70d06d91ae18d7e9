"""Ports: free before a server starts, or the error names who holds them. Nobody talks to somebody else's server."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import psutil

from headrace.errors import HeadraceError, Problem
from headrace.local.progress import say
from headrace.local.server import Server
from headrace.project.settings import SPAN

HOST = "127.0.0.1"
PASSING = 75.0  # seconds; Linux keeps the port of an ended connection for 60
CLEARING = 15.0


def check(servers: list[Server]) -> None:
    """Raises HeadraceError with one problem per port of these servers that somebody else holds.

    A port on which only an outgoing connection sits, or sat a moment ago, is waited for: it ends by itself. So is that
    of a process that was killed: the system takes seconds to clear a large one away, and does not show whose it was.
    """
    needed = [(server, name, port) for server in servers for name, port in server.ports.items()]
    began, said = time.monotonic(), False
    while taken := [entry for entry in needed if not free(entry[2])]:
        heard = [port for _, _, port in taken if listened(port)]
        patience = 0.0 if any(map(owner, heard)) else CLEARING if heard else PASSING
        if time.monotonic() > began + patience:
            break
        if not said:
            say(f"waiting for ports {', '.join(str(port) for _, _, port in taken)}: who had them is ending")
            said = True
        time.sleep(0.5)
    if taken:
        hint = f"stop it, or choose other ports in headrace.yml:   local: {{ports: {suggestion()}}}"
        said_of = [
            (f"{server.name} needs port {port} ({name}), which {holder(port)} holds") for server, name, port in taken
        ]
        raise HeadraceError(*(Problem(message, hint=hint) for message in said_of))


def free(port: int) -> bool:
    """Whether a server could listen there now: bound in the way servers do it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            return False
    return True


def owner(port: int) -> int | None:
    """The pid that listens on the port, where the system lets us see it."""
    return next((c.pid for c in _connections() if c.laddr.port == port and c.status == psutil.CONN_LISTEN), None)


def listened(port: int) -> bool:
    """Whether somebody listens on the port, be it a process that we may not see."""
    return any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in _connections())


def holder(port: int) -> str:
    """Who has the port, in words."""
    found = sorted((c for c in _connections() if c.laddr.port == port), key=lambda c: c.status != psutil.CONN_LISTEN)
    pid = next((c.pid for c in found if c.pid), None)
    if pid is None:
        return "a process that we may not see"
    try:
        command = " ".join(" ".join(psutil.Process(pid).cmdline()).split())
    except psutil.Error:
        command = "which we may not look at"
    return f"pid {pid} ({command if len(command) < 90 else command[:87] + '…'})"


def suggestion(first: int = 22000) -> int:
    """The first of a stretch of free ports that is long enough for a whole project.

    Below 32768: from there on Linux gives ports to outgoing connections, one of which could sit on a server's port.
    """
    for base in range(first, 32000, 100):
        if all(free(port) for port in range(base, base + SPAN)):
            return base
    return first


def _connections() -> list[Any]:
    try:
        return [c for c in psutil.net_connections(kind="tcp") if c.laddr]
    except psutil.Error:
        return []
