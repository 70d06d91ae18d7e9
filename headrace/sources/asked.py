"""Whom `headrace add source` asks: a source that has no file yet."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from headrace.errors import Place
from headrace.project import Project, Source


@dataclass(frozen=True)
class Asked:
    """Whom to ask: a source that has no file yet. `url` is the address, or the folder, as it was given."""

    project: Project
    name: str
    kind: str
    url: str = ""
    local: bool = False  # the embedded server of the source that the project has under this name
    headers: tuple[tuple[str, str], ...] = ()
    endpoint: str = ""  # of a bucket: where its store is, when not at AWS
    tables: tuple[str, ...] = ()  # patterns; empty: every table

    @property
    def source(self) -> Source:
        """As if its file were there, without tables."""
        place = Place(self.project.root / f"lake/sources/{self.name}.yml")
        database = "neo4j" if self.kind == "neo4j" else self.name  # its community edition has that one
        return Source(
            self.name, self.kind, (), place, url=self.url, endpoint=self.endpoint, database=database, local=self.local
        )

    def wants(self, *names: str) -> bool:
        """Whether a table that is called so is among those to take."""
        return not self.tables or any(fnmatchcase(name, pattern) for name in names for pattern in self.tables)


def below(root: Path, path: Path) -> str:
    """A folder as a source's file says it: relative to the project where it lies in it."""
    full = path.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)
