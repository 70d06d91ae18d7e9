"""What a running platform shows to others on the machine and on the network: sockets, command lines, logs, files."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

import psutil

from headrace.local import supervise
from headrace.project import Project
from headrace.project.settings import read_secrets

LEAST = 8  # characters; every secret that `headrace up` draws has more


def processes(project: Project) -> dict[int, str]:
    """Every process that the platform started and that still runs: pid → its server's name."""
    found: dict[int, str] = {}
    for name, info in supervise.states(project).items():
        if info["pid"]:
            try:
                root = psutil.Process(info["pid"])
                found |= {process.pid: name for process in (root, *root.children(recursive=True))}
                parent = root.parent()
                if parent and "supervisord" in " ".join(parent.cmdline()):
                    found[parent.pid] = "supervisor"
            except psutil.NoSuchProcess:
                continue
    return found


def open_to_others(pids: Iterable[int], allowed: Iterable[tuple[str, int]] = ()) -> list[tuple[int, str, int]]:
    """(pid, address, port) of each socket of these processes that takes connections, or datagrams of anybody, at an
    address that is not loopback's; less those that are configured so."""
    wanted, fine = set(pids), set(allowed)
    return [
        (c.pid, c.laddr.ip, c.laddr.port)
        for c in psutil.net_connections(kind="inet")
        if c.pid in wanted
        and c.laddr
        and not c.raddr
        and (c.status in {psutil.CONN_LISTEN, psutil.CONN_NONE})
        and not loopback(c.laddr.ip)
        and (c.laddr.ip, c.laddr.port) not in fine
    ]


def listening(pids: Iterable[int]) -> set[int]:
    """The ports on which these processes listen: what a test that finds nothing wrong must have looked at."""
    wanted = set(pids)
    found = psutil.net_connections(kind="tcp")
    return {c.laddr.port for c in found if c.pid in wanted and c.status == psutil.CONN_LISTEN}


def loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_loopback or bool(
        isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped and ip.ipv4_mapped.is_loopback
    )


def secrets(project: Project) -> dict[str, str]:
    """Name → value of every secret that was drawn for the platform."""
    drawn = read_secrets(project.state / "secrets.env")
    return {name: value for name, value in drawn.items() if len(value) >= LEAST}


def told_by_command_lines(hidden: dict[str, str], pids: Iterable[int]) -> list[str]:
    """`NAME in pid` for each secret in a command line, which everybody on the machine can read."""
    found = []
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        found += [f"{name} in {pid}: {words[:60]!r}" for name, value in hidden.items() if value in words]
    return found


def told_by_files(hidden: dict[str, str], paths: Iterable[Path]) -> list[str]:
    """`NAME in path` for each secret in one of these files."""
    found = []
    for path in paths:
        try:
            text = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        found += [f"{name} in {path}" for name, value in hidden.items() if value.encode() in text]
    return found


def readable_by_others(paths: Iterable[Path]) -> list[Path]:
    """The files among these that others than their owner may read. Below a folder of the owner's they can't be reached,
    but a copy of them can."""
    return [path for path in paths if path.is_file() and path.stat().st_mode & 0o077]
