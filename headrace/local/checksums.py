"""Every archive that Maven fetches is the one that was fetched when its version was chosen, or nothing is installed.

jars/checksums.txt has their SHA-256, and pin.py writes it. Standard library only, as install.py.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from headrace.errors import HeadraceError

FILE = Path(__file__).parent / "jars" / "checksums.txt"
_HINT = """when a version was changed on purpose: python3.11 -m headrace.local.pin
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
        for path, found in digests(fetched).items()
        if wanted.get(path.name) != found
    ]
    if wrong:
        raise HeadraceError(*wrong, hint=_HINT)


def digests(folder: Path) -> dict[Path, str]:
    """The SHA-256 of each file in a folder."""
    return {path: digest(path) for path in sorted(folder.iterdir()) if path.is_file()}


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
