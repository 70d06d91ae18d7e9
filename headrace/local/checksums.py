"""Every archive that Maven fetches is the one that was fetched when its version was chosen, or nothing is installed.

    python3.11 -m headrace.local.checksums      fetches all of them and writes jars/checksums.txt anew

Standard library only, as install.py.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from headrace.errors import HeadraceError

FILE = Path(__file__).parent / "jars" / "checksums.txt"
_HINT = """when a version was changed on purpose: python3.11 -m headrace.local.checksums
else somebody changed what the repository holds: do not install it"""


def known() -> dict[str, str]:
    """Name of an archive → its SHA-256."""
    each = (line.split() for line in FILE.read_text().splitlines() if line and not line.startswith("#"))
    return {name: digest for digest, name, _group in each}


def verify(fetched: Path) -> None:
    """Raises HeadraceError naming every archive in the folder that is not the known one, or not known at all."""
    wanted = known()
    wrong = [
        f"{path.name} is {'not' if path.name in wanted else 'none of'} what was chosen: SHA-256 {found}"
        for path, found in _digests(fetched).items()
        if wanted.get(path.name) != found
    ]
    if wrong:
        raise HeadraceError(*wrong, hint=_HINT)


def _digests(folder: Path) -> dict[Path, str]:
    return {path: _digest(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Fetches what each pom names and writes what came."""
    from headrace.local.install import POMS, fetch

    found: dict[str, tuple[str, str]] = {}
    for pom in sorted(POMS.glob("*.xml")):
        with tempfile.TemporaryDirectory() as folder:
            plain, grouped = Path(folder) / "plain", Path(folder) / "grouped"
            subprocess.run(fetch(pom, plain), check=True)
            subprocess.run([*fetch(pom, grouped), "-Dmdep.prependGroupId=true"], check=True)
            names = [path.name for path in grouped.iterdir()]
            for path, digest in _digests(plain).items():
                (whole,) = (name for name in names if name.endswith(f".{path.name}"))
                found[path.name] = digest, whole.removesuffix(f".{path.name}")
    head = "# SHA-256, name and group of each archive. Written by python3.11 -m headrace.local.checksums.\n"
    FILE.write_text(head + "".join(f"{found[name][0]}  {name}  {found[name][1]}\n" for name in sorted(found)))


if __name__ == "__main__":
    main()
