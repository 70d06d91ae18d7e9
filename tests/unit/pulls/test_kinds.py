"""The table of kinds that are pulled is whole, and a folder that is away is said at the source's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import HeadraceError, Place
from headrace.project import Project, Source, load
from headrace.project.source import KINDS, LISTED
from headrace.pulls.kinds import PULLED


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "headrace.yml").write_text("name: site\n")
    return load(tmp_path)


def test_every_kind_that_is_pulled_has_its_line():
    assert set(PULLED) == {kind for kind, mode in KINDS.items() if mode == "cron"}
    assert set(PULLED) >= LISTED


def test_a_folder_that_is_away(project: Project):
    source = Source("lists", "files", (), Place(project.root / "lake/sources/lists.yml", 1), path="drop")
    with pytest.raises(HeadraceError, match="drop is not a folder") as error:
        PULLED["files"].probe(project, source)
    assert error.value.problems[0].place == source.place
    (project.root / "drop").mkdir()
    PULLED["files"].probe(project, source)
