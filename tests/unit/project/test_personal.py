"""From the tags of contracts to the columns of views: through other views, Python jobs and stream jobs."""

from __future__ import annotations

from headrace.project import Project, load
from headrace.project.personal import personal, tagged, touched, version

AUTHOR = frozenset({"pages.author"})
PAGES = """\
schema:
  - name: pages
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: address, logicalType: string, required: true}
      - {name: author, logicalType: string, %s}
"""
JOBS = {
    "jobs/batch/a_page.sql": "SELECT id, upper(author) AS who, address FROM pages",
    "jobs/batch/b_above.sql": "SELECT id, left(who, 1) AS letter FROM a_page",
    "jobs/batch/c_python.py": """\
from headrace import batch_view


@batch_view
def c_python(a_page, pages_history):
    return pages_history
""",
    "jobs/batch/d_over_python.sql": "SELECT * FROM c_python",
    "jobs/stream/long_visit.sql": "-- key: id\nSELECT id, began_at AS at, event_time FROM visits_changes\n",
}


def project(folder, said: str, **more: str) -> Project:  # type: ignore[no-untyped-def]
    for path, text in (JOBS | {"schemas/pages.yaml": PAGES % said} | more).items():
        folder.write(path, text)
    found = load(folder.root)
    assert not found.problems
    return found


def test_tags_and_classification_of_a_column(folder):
    for said, is_personal in (
        ("tags: [x, personal]", True),
        ("tags: [PII]", True),
        ("classification: Personal", True),
        ("properties: [{name: given, tags: [personal]}]", True),
        ("items: {logicalType: string, tags: [personal]}", True),
        ("classification: restricted", False),
        ("tags: [non-personal, person, personnel]", False),
    ):
        columns = {c.name: c.personal for c in project(folder, said).tables["pages"].contract.columns}
        assert columns == {"id": False, "address": False, "author": is_personal}, said


def test_through_views(folder):
    found = project(folder, "tags: [personal]")
    assert personal(found, found.job("a_page")).columns == {"who": AUTHOR}
    assert personal(found, found.job("b_above")).columns == {"letter": AUTHOR}
    assert personal(found, found.job("visits_per_page")).columns == {}


def test_what_messages_about_a_job_may_quote(folder):
    found = project(folder, "tags: [personal]")
    for name in ("b_above", "visits_per_page", "site", "a job whose file is gone"):
        assert touched(found, name) == AUTHOR
    for name in ("long_visit", "web"):
        assert touched(found, name) == frozenset()


def test_a_python_jobs_column_is_personal_by_its_name(folder):
    found = project(folder, "tags: [personal]")
    for job in ("c_python", "d_over_python"):
        among = personal(found, found.job(job)).among(["id", "Author", "who", "writer", "valid_from"])
        assert among == {"Author": AUTHOR, "who": AUTHOR}
    contract = PAGES.replace("pages", "c_python").replace("author", "writer") % "tags: [personal]"
    told = project(folder, "tags: [personal]", **{"schemas/c_python.yaml": contract})
    assert personal(told, told.job("c_python")).of("writer") == {"c_python.writer"}
    assert personal(told, told.job("d_over_python")).of("writer") == {"c_python.writer"}


def test_the_event_time_shows_the_column_it_comes_from(folder):
    text = (folder.root / "schemas/visits.yaml").read_text()
    text = text.replace("began_at, logicalType: timestamp", "began_at, tags: [personal], logicalType: timestamp")
    found = project(folder, "required: true", **{"schemas/visits.yaml": text})
    began = frozenset({"visits.began_at"})
    assert personal(found, found.job("long_visit")).columns == {"at": began, "event_time": began}


def test_the_version_changes_with_the_tags_and_is_empty_without(folder):
    without = project(folder, "required: true")
    assert {version(without, job) for job in without.jobs} == {""}
    found = project(folder, "tags: [personal]")
    assert version(found, found.job("a_page")) == "who<pages.author"
    assert version(found, found.job("visits_per_page")) == ""


def test_the_examples_views(repository):
    found = load(repository)
    shown = {job.name: set(personal(found, job).columns) for job in found.jobs}
    assert shown.pop("order_360") == shown.pop("order_record") == shown.pop("unhappy_customer") == {"comment"}
    assert shown.pop("courier_emergency") == {"latitude", "longitude"}
    assert shown.pop("customer_segments") == {"name"}  # by name; the job selects none of that name
    assert set().union(*shown.values()) == set()


def test_the_contract_of_a_view_knows_what_its_job_brings(folder):
    contract = (
        "schema:\n  - name: a_page\n    properties:\n      - {name: id, logicalType: integer, primaryKey: true}\n"
    )
    contract += "      - {name: who, logicalType: string}\n"
    found = project(folder, "tags: [personal]", **{"schemas/a_page.yaml": contract})
    known = found.contracts["a_page"]
    assert [c.personal for c in known.columns] == [False, False]
    assert [c.personal for c in tagged(found, known).columns] == [False, True]
