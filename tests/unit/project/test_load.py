"""Loading, whatever lies in the folder: never an exception for a user's file, and the parts put together rightly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import HeadraceError
from headrace.project import check, find_root, inspect, load

PATHS = [
    "lake/sources/web.yml",
    "schemas/pages.yaml",
    "jobs/batch/visits_per_page.sql",
    "jobs/batch/more.py",
    "jobs/stream/long_visit.sql",
    "jobs/stream/more.py",
]
WORDS = st.sampled_from(
    (
        "kind : - { } [ ] events tables clicks schema name properties &a *a << ? "
        "!!python/object:os.system ' \" ` -- /* # SELECT FROM WITH AS ( ) , visits visits_changes JOIN "
        "TABLE @ batch_view ü 訪 \U0001f600 1 2024-13-45 null true ~ | > % \\ \ufeff \x00 key: def"
    ).split(" ")
)
BLANK = st.sampled_from(["", " ", "\n", "\t", "\r"])
MANGLED = st.lists(WORDS | BLANK, max_size=60).map("".join)


@pytest.mark.timeout(300)  # a busy machine
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), text=st.one_of(MANGLED, st.text()), data=st.none() | st.binary(max_size=60))
def test_no_file_makes_loading_or_checking_raise(folder, path: str, text: str, data: bytes | None):
    before = (folder.root / path).read_bytes() if (folder.root / path).exists() else None
    folder.write(path, data if data is not None else text.encode("utf-8", errors="replace"))
    load(folder.root)
    project, problems = inspect(folder.root)
    assert {p.message for p in project.problems if not p.follows} <= {p.message for p in problems}
    for problem in problems:
        assert problem.render(folder.root)
        assert problem.place is None or problem.place.path.is_relative_to(folder.root)
    if before is None:
        (folder.root / path).unlink()
    else:
        (folder.root / path).write_bytes(before)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=MANGLED)
def test_headrace_yml_raises_problems_and_nothing_else(folder, text: str):
    folder.write("headrace.yml", text)
    inspect(folder.root)
    try:
        load(folder.root)
    except HeadraceError as error:
        assert all(p.place for p in error.problems)


def test_a_project_as_specs(folder):
    project = load(folder.root)
    assert project.problems == ()
    assert sorted(project.tables) == ["clicks", "pages", "visits"]
    assert project.table("visits").topic == "site.public.visits"
    assert project.table("clicks").topic == "events.clicks"
    assert project.source("site").mode == "cdc" and project.source("site").local
    assert project.source("site").database == "site"
    contract = project.table("visits").contract
    assert contract.names == ("id", "page_id", "seconds", "began_at")
    assert contract.key == ("id",) and contract.event_time == "began_at"
    assert contract.columns[2].spark == "DECIMAL(8,2)" and contract.columns[2].postgres == "numeric(8,2)"
    assert set(project.contracts) == {"clicks", "pages", "visits"}
    view, alert = project.job("visits_per_page"), project.job("long_visit", "stream")
    assert [i.name for i in view.inputs] == ["visits", "pages"]
    assert (view.options, view.description, view.schedule) == (
        {"owner": "editors"},
        "Visits of each page.",
        "on new data",
    )
    assert (alert.key, alert.topic, alert.inputs[0].table, alert.inputs[0].variant) == (
        ("id",),
        "alerts.long_visit",
        "visits",
        "changes",
    )


def test_names_that_are_not_there_say_what_is(folder):
    project = load(folder.root)
    with pytest.raises(HeadraceError) as error:
        project.job("long_visits")
    assert str(error.value) == "  there is no job 'long_visits'\n  hint: did you mean 'long_visit'?"
    with pytest.raises(HeadraceError) as error:
        project.job("long_visit", "batch")
    assert str(error.value) == "  there is no job 'long_visit'\n  hint: there is: visits_per_page"
    with pytest.raises(HeadraceError, match="there is no source 'x'\n  hint: there is: site, web"):
        project.source("x")
    with pytest.raises(HeadraceError, match="there is no table 'visit'\n  hint: did you mean 'visits'"):
        project.table("visit")


def test_check_raises_every_problem(folder):
    check(load(folder.root))
    folder.write("jobs/batch/a.sql", "SELECT x FROM y")
    folder.write("jobs/batch/b.sql", "SELECT x FROM z")
    with pytest.raises(HeadraceError) as error:
        check(load(folder.root))
    assert len(error.value.problems) == 2


def test_find_root_looks_upwards(folder, tmp_path: Path):
    assert find_root(folder.root / "jobs" / "batch") == folder.root
    with pytest.raises(HeadraceError) as error:
        find_root(tmp_path)
    assert str(error.value) == (
        f"  no headrace.yml in {tmp_path} or above it\n  hint: headrace init DIR   makes a new project"
    )


def test_batch_jobs_may_write_names_in_capitals_streams_not(folder):
    folder.write("jobs/batch/visits_per_page.sql", "SELECT COUNT(*) AS n FROM Visits JOIN VISITS v ON true")
    folder.write("jobs/stream/long_visit.sql", "-- key: id\nSELECT id FROM Visits_changes")
    project = load(folder.root)
    assert [i.name for i in project.job("visits_per_page").inputs] == ["visits"]
    assert [p.message for p in project.problems] == ["long_visit reads 'Visits_changes', which is not there"]


def test_a_repeated_table_leaves_a_project_that_can_be_read(folder):
    folder.write("lake/sources/web.yml", "kind: events\ntables: {clicks: events.clicks, pages: events.pages}\n")
    assert load(folder.root).table("visits").source == "site"
