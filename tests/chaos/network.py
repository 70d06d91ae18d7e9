"""The two faults of a network, for so many seconds.

* cut: packets to and from the server's ports vanish, and nobody is told, as when a cable is pulled. Rules of the
  kernel's own filter on loopback do it, because all servers share its name space: a name space of its own for each
  would drop the same packets. A connection that the server makes meanwhile may live for a tenth of a second.
* reset: its connections are ended again and again, as by a middle box that forgets them.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable

import psutil

from headrace.errors import HeadraceError
from headrace.local import debian

PAUSE = 0.1
RESET_PAUSE = 0.5
_PACKAGES = (
    *("nftables", "libnftables1", "libnftnl11", "libmnl0", "libxtables12", "libedit2", "libjansson4", "libbsd0"),
    "libmd0",
)
_TABLE = "inet headrace_chaos"
_RULES = f"""table {_TABLE} {{
  set ports {{ type inet_service; }}
  chain lost {{ type filter hook input priority 0; tcp sport @ports drop; tcp dport @ports drop; }}
}}
"""
_MET = {psutil.CONN_ESTABLISHED, psutil.CONN_LISTEN, psutil.CONN_SYN_SENT}


def cut(family: list[psutil.Process], seconds: float) -> None:
    end, lost = time.monotonic() + seconds, set[int]()
    _nft(_RULES)
    try:
        while time.monotonic() < end:
            if new := _ports(family, _MET) - lost:
                _nft(f"add element {_TABLE} ports {{ {', '.join(map(str, sorted(new)))} }}\n")
                lost |= new
            time.sleep(PAUSE)
    finally:
        heal()
    if not lost:
        raise HeadraceError("nothing was cut: the server has no port")


def heal() -> None:
    """Packets go through again, also those that a run which was cut off had lost."""
    unpacked = (debian.TOOLS / _PACKAGES[0]).exists()  # else nothing was ever cut from here
    if unpacked and os.geteuid() == 0 and "headrace_chaos" in _nft("list tables\n"):
        _nft(f"delete table {_TABLE}\n")


def reset(family: list[psutil.Process], seconds: float) -> None:
    end, ended = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for port in _ports(family, {psutil.CONN_ESTABLISHED}):
            command = ["ss", "-K", "-H", "state", "established", f"sport = :{port}"]
            ended += len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
        time.sleep(RESET_PAUSE)
    if not ended:
        raise HeadraceError("no connection was ended: `ss -K` needs root, and a kernel that lets it")


def _ports(family: Iterable[psutil.Process], states: set[str]) -> set[int]:
    """Its own ports, those that it is called at and those that it calls from."""
    found: set[int] = set()
    for process in family:
        try:
            found |= {c.laddr.port for c in process.net_connections("tcp") if c.status in states}
        except psutil.Error:
            continue
    return found


def _nft(rules: str) -> str:
    """Has Debian's nft, unpacked beside the jars, carry out a script."""
    place = debian.unpacked(*_PACKAGES)
    libraries = ":".join(str(folder) for folder in sorted(place.glob("**/lib/*-linux-*")))
    environment = os.environ | {"LD_LIBRARY_PATH": libraries}
    command = [str(place / "usr" / "sbin" / "nft"), "-f", "-"]
    done = subprocess.run(command, input=rules, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        hint = f"it takes root, and a kernel with nf_tables\n{done.stderr.strip()}"
        raise HeadraceError("the network can't be cut", hint=hint)
    return done.stdout
