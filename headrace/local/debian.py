"""Programs out of Debian's packages, unpacked beside the jars: nothing is installed, and no rights are needed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.install import ROOT
from headrace.local.progress import step

TOOLS = ROOT / ".tools"
# These programs look for files of theirs in /usr/share, where an unpacked package has none: they get a view of the
# file system of their own, in which it has.
_OWN_SHARE = 'mount --bind "$1" /usr/share && shift && exec "$@"'


def command(name: str, package: str, *more: str) -> tuple[str, ...]:
    """What runs a program: the one on the PATH, or else that of a Debian package, fetched when it is asked for first.
    `more` are packages that it needs files of. Raises HeadraceError where there is neither the program nor apt-get.
    """
    for known in (name, package):
        if found := shutil.which(known):
            return (found,)
    place = unpacked(package, *more, wanted=name)
    program = next(p for n in (name, package) if (p := place / "usr" / "bin" / n).exists())
    return ("unshare", "-rm", "sh", "-c", _OWN_SHARE, "sh", str(place / "usr" / "share"), str(program))


def unpacked(package: str, *more: str, wanted: str = "") -> Path:
    """The folder with a package's files, fetched where it is not there; HeadraceError where there is no apt-get."""
    place = TOOLS / package
    if not place.exists():
        _fetch(wanted or package, (package, *more), place)
    return place


def _fetch(name: str, packages: tuple[str, ...], place: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        hint = f"have {name} on the PATH; on Debian and Ubuntu it is fetched from the package {packages[0]}"
        raise HeadraceError(f"{name} is not installed", hint=hint)
    TOOLS.mkdir(exist_ok=True)
    with step(f"Debian's package {packages[0]}"), tempfile.TemporaryDirectory(dir=TOOLS, prefix=".apt-") as folder:
        work = Path(folder)
        for part in ("lists/partial", "cache/archives/partial", "made"):
            (work / part).mkdir(parents=True)
        own = ("-q", "-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache")
        own += ("-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3")
        _run(("apt-get", *own, "update"), work, packages[0])
        _run(("apt-get", *own, "download", *packages), work, packages[0])
        for file in work.glob("*.deb"):
            _run(("dpkg", "-x", str(file), "made"), work, packages[0])
        (work / "made").rename(place)


def _run(command: tuple[str, ...], folder: Path, package: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-6:]
        raise HeadraceError(f"Debian's package {package} can't be fetched", hint="\n".join(said))
