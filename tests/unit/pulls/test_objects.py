"""Names of objects against globs: as in a folder."""

from __future__ import annotations

import pytest

from headrace.pulls.objects import matches

NAMES = ["a.csv", "b.json", "2026/a.csv", "2026/01/a.csv", "2026/01/b.json"]


@pytest.mark.parametrize(
    "pattern", ["*.csv", "*/*.csv", "2026/*/*", "**/*.csv", "2026/**/a.csv", "**/01/*", "[ab].*", "a.csv"]
)
def test_a_glob_matches_names_as_it_does_in_a_folder(tmp_path, pattern: str) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.glob(pattern) if p.is_file()}
    assert {name for name in NAMES if matches(name, pattern)} == there != set()
