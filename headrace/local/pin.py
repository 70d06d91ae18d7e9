"""Writes jars/checksums.txt anew after a pom was changed: `python3.11 -m headrace.local.pin`. It fetches all."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from headrace.local.checksums import FILE, digests
from headrace.local.install import POMS, fetch


def main() -> None:
    """Fetches what each pom names and writes what came: SHA-256, name and group of each archive."""
    found: dict[str, tuple[str, str]] = {}
    for pom in sorted(POMS.glob("*.xml")):
        with tempfile.TemporaryDirectory() as folder:
            plain, grouped = Path(folder) / "plain", Path(folder) / "grouped"
            subprocess.run(fetch(pom, plain), check=True)
            subprocess.run([*fetch(pom, grouped), "-Dmdep.prependGroupId=true"], check=True)
            names = [path.name for path in grouped.iterdir()]
            for path, digest in digests(plain).items():
                (whole,) = (name for name in names if name.endswith(f".{path.name}"))
                found[path.name] = digest, whole.removesuffix(f".{path.name}")
    head = "# SHA-256, name and group of each archive. Written by python3.11 -m headrace.local.pin.\n"
    FILE.write_text(head + "".join(f"{found[name][0]}  {name}  {found[name][1]}\n" for name in sorted(found)))


if __name__ == "__main__":
    main()
