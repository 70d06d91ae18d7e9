"""The lake as it was: real Delta tables in a folder, whose commits are given times of their own."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from headrace.errors import HeadraceError
from headrace.lake import landing, paths, rows
from headrace.lake.commits import history, metadata
from headrace.lake.reading import query
from headrace.lake.travel import parse
from headrace.project import Project, load

ID = "hYvM2k3bTVKq0o5m1w7c9A"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PAGES = """\
schema:
  - name: pages
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: title, logicalType: string}
      - {name: words, logicalType: integer}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """pages: three versions of the current table, an hour apart; a column came with the last."""
    for path, text in {
        "headrace.yml": "name: site\n",
        "lake/sources/site.yml": "kind: events\ntables: {pages: events.pages}\n",
        "schemas/pages.yaml": PAGES,
        "jobs/batch/titles.sql": "SELECT title FROM pages",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    made = load(tmp_path)
    assert not made.problems
    for n, more in enumerate(({}, {}, {"words": [7]})):
        rows_ = pa.table({"id": [1], "title": [f"v{n}"], **more, "_deleted": [False]})
        write_deltalake(paths.current(made, "pages"), rows_, mode="overwrite", schema_mode="overwrite")
        at(paths.current(made, "pages"), n, NOON + timedelta(hours=n))
    return made


def at(address: str, version: int, time: datetime) -> None:
    """Gives a commit another time, as if it had been made then."""
    log = Path(address) / "_delta_log" / f"{version:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] = int(time.timestamp() * 1000)
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))


def titles(project: Project, as_of: str, table: str = "pages") -> list[tuple[object, ...]]:
    return query(project, f"SELECT title FROM {table}", as_of)[1]


@pytest.mark.parametrize(
    ("as_of", "found"),
    [
        ("2026-01-31T12:00", "v0"),
        ("2026-01-31 12:59:59", "v0"),
        ("2026-01-31T13:00:00Z", "v1"),
        ("2026-01-31T14:30:00+01:00", "v1"),
        ("2026-02-01", "v2"),
        ("0", "v0"),
        ("1", "v1"),
        ("", "v2"),
    ],
)
def test_a_time_or_a_version(project: Project, as_of: str, found: str) -> None:
    assert titles(project, as_of) == titles(project, as_of, "current.pages") == [(found,)]


def test_every_table_of_a_query_is_as_of_the_time(project: Project) -> None:
    write_deltalake(paths.batch(project, "titles"), pa.table({"title": ["early"]}))
    at(paths.batch(project, "titles"), 0, NOON)
    write_deltalake(paths.batch(project, "titles"), pa.table({"title": ["late"]}), mode="overwrite")
    both = "SELECT p.title, t.title FROM pages p, titles t"
    assert query(project, both, "2026-01-31T13:30")[1] == [("v1", "early")]
    assert query(project, both)[1] == [("v2", "late")]
    with pytest.raises(HeadraceError, match="needs a query that names one table") as error:
        query(project, both, "1")
    assert "each table counts its own versions" in error.value.problems[0].hint


def test_columns_are_those_that_the_version_had(project: Project) -> None:
    assert query(project, "SELECT * FROM pages", "1")[0] == ("id", "title")
    assert query(project, "SELECT * FROM pages", "2") == (("id", "title", "words"), [(1, "v2", 7)])


def test_files_times_are_not_asked(project: Project, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(paths.current(project, "pages"), copied)
    shutil.rmtree(paths.current(project, "pages"))
    shutil.copytree(copied, paths.current(project, "pages"), copy_function=shutil.copy)
    assert titles(project, "2026-01-31T13:30") == [("v1",)]


def wrong(project: Project, as_of: str, table: str = "pages") -> str:
    with pytest.raises(HeadraceError) as error:
        titles(project, as_of, table)
    problem = error.value.problems[0]
    assert problem.hint
    return problem.message


def test_what_cannot_be_read_says_why(project: Project) -> None:
    said = "current.pages was not there yet: its first commit is of 2026-01-31 12:00:00 UTC"
    assert wrong(project, "2026-01-31T11:59") == said
    assert wrong(project, "3") == "current.pages has no version 3: the newest is 2"
    assert wrong(project, "soon") == "--as-of 'soon' is neither a time nor a version"
    assert wrong(project, "2999-01-01") == "--as-of '2999-01-01' has not come yet"
    assert wrong(project, "2026-01-31T12:00", "landing.pages") == "landing.pages is not there yet"


def test_a_vacuumed_version_says_so_and_names_where_the_changes_are(project: Project) -> None:
    DeltaTable(paths.current(project, "pages")).vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(HeadraceError) as error:
        titles(project, "2026-01-31T13:30")
    assert error.value.problems[0].message == "version 1 of current.pages was vacuumed: 1 of its 1 files are gone"
    assert error.value.problems[0].hint.startswith("landing.pages keeps every change")
    assert titles(project, "2") == [("v2",)]


def test_a_log_that_was_cut_says_from_where_it_reaches(project: Project) -> None:
    DeltaTable(paths.current(project, "pages")).create_checkpoint()
    for version in (0, 1):
        (Path(paths.current(project, "pages")) / "_delta_log" / f"{version:020}.json").unlink()
    message = "the log of current.pages no longer reaches back: it begins with version 2 of 2026-01-31 14:00:00 UTC"
    assert wrong(project, "2026-01-31T13:30") == message
    assert wrong(project, "1") == "the log of current.pages no longer holds version 1"
    assert titles(project, "2026-01-31T14:00") == [("v2",)]


def test_a_long_log_is_searched_backwards(project: Project) -> None:
    address = paths.batch(project, "titles")
    for n in range(70):  # more than one look
        write_deltalake(address, pa.table({"title": [f"t{n}"]}), mode="overwrite")
        at(address, n, NOON + timedelta(minutes=n))
    assert titles(project, "2026-01-31T12:03:30", "titles") == [("t3",)]


def test_commits_say_who_wrote_them_and_how_far_they_reach(project: Project) -> None:
    handle = landing.open_landing(project, "pages", ID, 2)
    now = datetime.now(UTC)
    row = {"op": "c", "appended_at": now, "landed_at": now, "landing_date": now.date()}
    for start, end in ((0, 2), (2, 5)):
        data = [row | {"partition": 1, "offset": offset} for offset in range(start, end)]
        landing.append(handle, pa.Table.from_pylist(data, schema=rows.LANDING), ID, {1: (start, end)})
    rejected = pa.Table.from_pylist([{"partition": 1, "offset": 4, "landing_date": now.date()}], schema=rows.QUARANTINE)
    landing.append_quarantine(landing.open_quarantine(project, "pages"), rejected, ID, {1: 5})
    landing.compact(paths.landing(project, "pages"))

    made = history(paths.landing(project, "pages"))
    assert [(c.version, c.operation, c.rows, c.by.get("what")) for c in made] == [
        (3, "OPTIMIZE", None, "compaction"),
        (2, "WRITE", 3, "landing worker"),
        (1, "WRITE", 2, "landing worker"),
        (0, "CREATE TABLE", None, None),
    ]
    assert [c.state.get("positions") for c in made] == [None, {"1": 5}, {"1": 2}, None]
    assert set(made[1].by) == {"what", "user", "host", "pid"}
    assert history(paths.quarantine(project, "pages"), 1)[0].state == {"positions": {"1": 5}}
    assert landing.positions(project, "pages") == {0: 0, 1: 5}


def test_a_commit_of_spark_carries_the_same_in_its_own_way(project: Project) -> None:
    address = paths.current(project, "pages")
    log = Path(address) / "_delta_log" / f"{2:020}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    said = {"userMetadata": metadata({"positions": {"0": 9}}, "fold"), "operationMetrics": {"numOutputRows": "1"}}
    actions = [{"commitInfo": a["commitInfo"] | said} if "commitInfo" in a else a for a in actions]
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    newest, before = history(address, 2)
    assert (newest.rows, newest.by["what"], newest.state) == (1, "fold", {"positions": {"0": 9}})
    assert (before.by, before.state) == ({}, {})


def test_moments() -> None:
    assert str(parse("12")) == "version 12"
    assert str(parse("2026-01-31T12:00+02:00")) == "2026-01-31 10:00:00 UTC"
