"""What the documents name is there: files, folders, verbs, make targets, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.cli.app import VERBS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    ROOT / "docs/histories.md",
    *sorted((ROOT / "decisions").glob("*.md")),
]
IDS = [str(d.relative_to(ROOT)) for d in DOCUMENTS]
# Files of a reader's own project, and examples of ones.
OTHERS = {"lake/sources/payments.yml", "customer_segments.py"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(document: Path):
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_files_that_are_named_are_there(document: Path):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/<.-])((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|sql|yml|yaml|sh))\b", text))
    lost = [n for n in named - OTHERS if not (ROOT / n).exists() and not (ROOT / "headrace" / n).exists()]
    assert lost == []


def test_the_histories_name_tests_that_are_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/histories.md").read_text(encoding="utf-8"))
    assert len(named) > 15
    lost = [
        f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert lost == []


def test_verbs_of_the_readme_are_the_command_lines():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| verb |") :]
    table = table[: table.index("\n\n")]
    named = {w for cell in re.findall(r"^\| (.+?) \| ", table, re.MULTILINE) for w in re.findall(r"`([a-z]+)", cell)}
    assert named - {"query"} == set(VERBS) - {"work", "query"}


def test_make_targets_that_are_named_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^    |`)make ([a-z0-9]+)", text, re.MULTILINE))
        assert named <= targets, document


def test_decisions_are_numbered_without_gaps_and_say_four_things():
    records = sorted((ROOT / "decisions").glob("[0-9]*.md"))
    assert [int(r.name[:4]) for r in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(record.name[:4])}. "), record.name
        assert re.findall(r"^\*\*(\w[\w ]+)\.\*\*", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequence",
            "To undo",
        ]
