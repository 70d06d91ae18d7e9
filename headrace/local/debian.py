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


def program(name: str, package: str) -> Path:
    """A program from the PATH, or else from a Debian package of that name, fetched when it is asked for first.

    Raises HeadraceError where there is neither the program nor apt-get.
    """
    for known in (name, package):
        if found := shutil.which(known):
            return Path(found)
    place = TOOLS / package
    found = next((p for n in (name, package) if (p := place / "usr" / "bin" / n).exists()), None)
    return found or _fetched(name, package, place)


def _fetched(name: str, package: str, place: Path) -> Path:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        hint = f"install {name} and have it on the PATH; on Debian and Ubuntu it is fetched from the package {package}"
        raise HeadraceError(f"{name} is not installed", hint=hint)
    TOOLS.mkdir(exist_ok=True)
    with step(f"Debian's package {package}"), tempfile.TemporaryDirectory(dir=TOOLS, prefix=".apt-") as folder:
        work = Path(folder)
        for part in ("lists/partial", "cache/archives/partial", "made"):
            (work / part).mkdir(parents=True)
        own = ("-q", "-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache")
        own += ("-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3")
        _run(("apt-get", *own, "update"), work, package)
        _run(("apt-get", *own, "download", package), work, package)
        (file,) = work.glob("*.deb")
        _run(("dpkg", "-x", str(file), "made"), work, package)
        shutil.rmtree(place, ignore_errors=True)
        (work / "made").rename(place)
    return program(name, package)


def _run(command: tuple[str, ...], folder: Path, package: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][-6:]
        raise HeadraceError(f"Debian's package {package} can't be fetched", hint="\n".join(said))
