"""Writes the files of Prometheus and Alertmanager into a folder: the same that `headrace up --monitoring` writes."""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.monitor import rules
from headrace.project import Project, find_root, load


def files(project: Project, folder: Path) -> dict[str, str]:
    """File name → text. All three share one network namespace, since the metrics are on loopback only."""
    asked, told = (f"127.0.0.1:{project.addresses.port(name)}" for name in ("metrics", "alertmanager"))
    own = project.root / "monitoring"
    named = [str(folder / "headrace.rules.yml"), str(folder / "own" / "*.rules.yml")]
    found = {
        "prometheus.yml": rules.prometheus(asked, told, named),
        "headrace.rules.yml": rules.rules(f"http://{asked}/runbooks"),
        "alertmanager.yml": rules.alertmanager(project.settings.webhook),
    }
    found |= {f"own/{path.name}": path.read_text(encoding="utf-8") for path in sorted(own.glob("*.rules.yml"))}
    if (own / "alertmanager.yml").exists():
        found["alertmanager.yml"] = (own / "alertmanager.yml").read_text(encoding="utf-8")
    return found


def main(root: Path, folder: Path) -> None:
    """Writes them for the project at `root`."""
    for name, text in files(load(find_root(root)), folder).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
