"""Each mistake a user can make, and the text that `headrace check` prints: see mistakes/*.txt.

A case: `##### what it is`, then files as `=== path` and their text (`=== path absent` deletes one), then `=== says`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CASES = [
    (f"{path.stem}: {case.partition(chr(10))[0].strip()}", case.partition("\n")[2])
    for path in sorted(Path(__file__).with_name("mistakes").glob("*.txt"))
    for case in path.read_text(encoding="utf-8").split("##### ")[1:]
]


@pytest.mark.parametrize("case", [c for _, c in CASES], ids=[title for title, _ in CASES])
def test_says(case: str, folder):
    expected = ""
    for name, text in re.findall(r"^=== (.+)\n((?:(?!=== ).*\n?)*)", case, re.MULTILINE):
        if name == "says":
            expected = text.rstrip()
        elif name.endswith(" absent"):
            folder.remove(name.removesuffix(" absent"))
        else:
            folder.write(name, text)
    assert folder.mistakes() == expected


def test_titles_are_unique():
    assert len({title for title, _ in CASES}) == len(CASES) > 80


def test_the_project_itself_is_well(folder):
    assert folder.mistakes() == ""
