"""What a server of the embedded platform is: command, files, ports, needs, and how one knows that it answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = "@class-archive@"  # stands in a command or environment where the JVM's option belongs, see archive.py
QUIET = "-Xlog:cds=off"  # else a JVM lists every class that it leaves out of its archive
# The optimising compiler took a third of all CPU time of the first minutes: it gets only what is called ten times as
# often as by default. What a loaded server does all day passes that in seconds.
LATE_C2 = (
    "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000"
    " -XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)
# Spark (once it has started), Airflow, the demo, databases that are only pulled: the alert path never waits for them.
NICE = 10


# Of a JVM that few wait for: without the optimising compiler it starts with less processor time, and stays smaller.
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}


def nothing() -> None:
    """For servers that need no preparation."""


@dataclass(frozen=True)
class Server:
    """One process that supervisor keeps running.

    `ready` returns when a real request was answered and raises otherwise. `prepare` runs before each start by `up` and
    is quick when there is nothing to do; `provision` runs each time the server has become ready.
    """

    name: str
    part: str  # the word of `up --only`
    command: tuple[str, ...]
    ready: Callable[[], None]
    environment: dict[str, str] = field(default_factory=dict)  # may hold secrets: written readable by the owner only
    files: dict[Path, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)  # name in the PORTS table, or the source's name → port
    needs: tuple[str, ...] = ()  # names of servers that must answer first, where they are started at all
    folder: Path | None = None
    nice: int = 0
    hurried: float = 0  # seconds at full priority after each start: else it would starve before it is of any use
    memory: str = ""  # what it may grow to, for people
    address: str = ""
    patience: float = 240.0  # seconds until it must answer
    stop_signal: str = "TERM"
    stop_patience: int = 45  # seconds until it is killed; a JVM may have its archive to write
    stop_group: bool = True  # whether the stop signal goes to its children too
    archive: Path | None = None  # of a JVM's classes, see headrace/local/archive.py
    kept: bool = False  # a command of the user's, not a part of the platform
    prepare: Callable[[], None] = nothing
    provision: Callable[[], None] = nothing


def as_nobody(*command: str) -> tuple[str, ...]:
    """The command as a user without rights where we are root: PostgreSQL refuses root. No file's owner changes.

    A user name space of its own maps us to nobody inside it; outside, files and signals are still ours.
    """
    if os.geteuid() != 0:
        return command
    return ("unshare", "-U", "--map-user=65534", "--map-group=65534", *command)


def java(*arguments: str, heap: int, start: int = 64, path: str = "", archive: bool = False) -> tuple[str, ...]:
    """A JVM with a heap of at most `heap` MB, in UTC, that exits rather than limps on when memory is out."""
    options = (
        "-server",
        *LATE_C2.split(),
        f"-Xms{start}m",
        f"-Xmx{heap}m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Duser.timezone=UTC",
        "-Djava.awt.headless=true",
    )
    return ("java", *((TOKEN, QUIET) if archive else ()), *options, *(("-cp", path) if path else ()), *arguments)


def properties(values: dict[str, object]) -> str:
    """A Java properties file."""
    return "".join(f"{name}={value}\n" for name, value in values.items())
