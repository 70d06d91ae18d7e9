"""Files as editors and accidents leave them: read alike, or refused with a clear problem."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.project.text import LARGEST, read_text

SQL = "-- Visits.\n-- live: maybe\nSELECT COUNT(*) AS n\nFROM\tvisitts\n"
SAYS = """\
jobs/batch/visits_per_page.sql:2
    2 | -- live: maybe
                 ^
  live is true or false, not 'maybe'
  hint: live: true"""


@pytest.mark.parametrize(
    "data",
    [
        SQL.encode(),
        SQL.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + SQL.encode(),
        SQL.replace("\n", "\r").encode(),
    ],
    ids=["unix", "windows", "byte order mark", "old mac"],
)
def test_places_do_not_depend_on_line_ends(folder, data: bytes):
    folder.write("jobs/batch/visits_per_page.sql", data)
    assert folder.mistakes().startswith(SAYS)


def test_windows_yaml_with_byte_order_mark(folder):
    folder.write("lake/sources/web.yml", b"\xef\xbb\xbfkind: event\r\ntables:\r\n  clicks: events.clicks\r\n")
    assert folder.mistakes() == (
        "lake/sources/web.yml:1\n    1 | kind: event\n        ^\n"
        "  no such kind of source 'event'\n  hint: did you mean 'events'?"
    )


def test_the_caret_stands_below_its_column_behind_tabs_and_wide_letters(folder):
    folder.write("jobs/batch/visits_per_page.sql", "SELECT '訪問' AS v,\tCOUNT(*) AS n FROM visitts")
    assert folder.mistakes() == (
        "jobs/batch/visits_per_page.sql:1\n"
        "    1 | SELECT '訪問' AS v,\tCOUNT(*) AS n FROM visitts\n"
        "                           \t                   ^\n"
        "  visits_per_page reads 'visitts', which is not there\n  hint: did you mean 'visits'?"
    )


def test_tabs_in_yaml(folder):
    folder.write("lake/sources/web.yml", "kind: events\ntables:\n\tclicks: events.clicks\n")
    assert folder.mistakes() == (
        "lake/sources/web.yml:3\n    3 | \tclicks: events.clicks\n        ^\n"
        "  this is not YAML: found character '\\t' that cannot start any token\n  hint: indent with spaces"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "  the file is empty\n  hint: delete it, or copy one that works"),
        (b"kind: \x00\x01", "  this is not text but a binary file\n  hint: is this the right file?"),
        ("kind: events".encode("utf-16"), "  this is UTF-16\n  hint: save it as UTF-8"),
        (b"x" * (LARGEST + 1), "  larger than 1,000,000 bytes\n  hint: is this the right file?"),
    ],
    ids=["empty", "binary", "UTF-16", "large"],
)
def test_what_is_no_text(folder, data: bytes, says: str):
    folder.write("lake/sources/web.yml", data)
    assert folder.mistakes() == f"lake/sources/web.yml\n{says}"


def test_latin_1_is_pointed_at(folder):
    folder.write("jobs/batch/visits_per_page.sql", "-- Besuche.\n-- owner: Käthe\nSELECT 1".encode("latin-1"))
    assert folder.mistakes() == (
        "jobs/batch/visits_per_page.sql:2\n    2 | -- owner: K\N{REPLACEMENT CHARACTER}the\n"
        "  not UTF-8: byte 0xe4 in line 2\n  hint: save it as UTF-8"
    )


def test_control_characters_in_yaml(folder):
    folder.write("lake/sources/web.yml", b"kind: events\ntables: {clicks: \x07}\n")
    assert folder.mistakes() == (
        "lake/sources/web.yml:2\n    2 | tables: {clicks: \N{REPLACEMENT CHARACTER}}\n"
        "  this is not YAML: special characters are not allowed"
    )


def test_a_folder_where_a_file_should_be(folder):
    (folder.root / "jobs/batch/totals.sql").mkdir()
    assert (
        folder.mistakes() == "jobs/batch/totals.sql\n  this is a folder, a file is expected\n  hint: rename the folder"
    )


def test_unreadable(folder, monkeypatch):
    path = folder.root / "lake/sources/web.yml"
    path.chmod(0)
    if os.geteuid() == 0:  # root may read everything: the operating system's answer must be made up

        def read(self: Path) -> bytes:
            if self == path:
                raise PermissionError(13, "Permission denied", str(self))
            return original(self)

        original = Path.read_bytes
        monkeypatch.setattr(Path, "read_bytes", read)
    assert folder.mistakes() == "lake/sources/web.yml\n  can't be read: Permission denied\n  hint: chmod u+r web.yml"


def test_a_link_to_nothing_and_a_link_out_of_the_project(folder, tmp_path):
    (folder.root / "jobs/batch/gone.sql").symlink_to("nowhere.sql")
    (tmp_path / "other.sql").write_text("SELECT id FROM visits")
    (folder.root / "jobs/batch/other.sql").symlink_to(tmp_path / "other.sql")
    assert folder.mistakes() == (
        "jobs/batch/gone.sql\n  gone.sql does not exist (a link to nothing)\n"
        "jobs/batch/other.sql\n  this is a link to a file outside the project\n"
        "  hint: copy it into the project: what runs must be what is in its history"
    )


def test_aliases_that_hold_themselves_and_deep_nesting(folder):
    folder.write("lake/sources/web.yml", "kind: events\ntables: &t {clicks: *t}\n")
    assert "clicks" in folder.mistakes()
    folder.write("lake/sources/web.yml", "kind: " + "[" * 1000)
    assert folder.mistakes().startswith(
        "lake/sources/web.yml\n  this is not YAML a person wrote: it is nested too deep"
    )


def test_read_text_raises_problems_only(tmp_path):
    with pytest.raises(HeadraceError, match="does not exist"):
        read_text(tmp_path / "absent")


def test_the_good_rest_is_loaded_beside_broken_files(folder):
    folder.write("jobs/batch/binary.sql", b"\x00\xff")
    folder.write("jobs/stream/broken.py", "def (")
    folder.write("schemas/clicks.yaml", "schema: [")
    project = load(folder.root)
    assert [j.name for j in project.jobs] == ["visits_per_page", "long_visit"]
    assert list(project.tables) == ["visits", "pages"]
    assert len(project.problems) == 4  # three files, and the source that needs the broken contract


def test_only_headrace_yml_stops_loading(folder):
    folder.write("headrace.yml", "nme: site\n")
    with pytest.raises(HeadraceError, match="did you mean 'name'"):
        load(folder.root)
