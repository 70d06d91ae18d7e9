"""Which views are due follows from positions and versions alone."""

from datetime import timedelta

from headrace.orchestrate import due as module
from headrace.orchestrate.due import CHANGED, FIRST, Published, hold_back

NOTHING = {"visits": {}, "beds": {}}


def views(project):
    return module.views(project, lambda project, job: job.text)


def due(view, landed, covered):
    """`covered` as positions; the published version is the view's own unless it says another."""
    made = {n: p if p is None or isinstance(p, Published) else Published(p, view.version) for n, p in covered.items()}
    return module.due(view, landed, made)


def test_a_view_whose_file_was_changed_is_due(clinic):
    view = views(clinic())["visits_per_bed"]
    found = due(view, {"visits": {0: 5}}, {"visits_per_bed": Published({"visits": {0: 5}}, "the text before")})
    assert found is not None
    assert found.reasons == {CHANGED: 0}


def test_a_view_is_due_when_more_is_landed_than_it_covers(clinic):
    view = views(clinic())["visits_per_bed"]
    assert due(view, {"visits": {0: 5, 1: 7}}, {"visits_per_bed": {"visits": {0: 5, 1: 7}}}) is None
    found = due(view, {"visits": {0: 6, 1: 9}}, {"visits_per_bed": {"visits": {0: 5, 1: 7}}})
    assert found is not None
    assert found.reasons == {"visits": 3}


def test_positions_past_the_data_make_nothing_due(clinic):
    """A run covers markers too; data that lies below them is covered."""
    view = views(clinic())["visits_per_bed"]
    assert due(view, {"visits": {0: 5}}, {"visits_per_bed": {"visits": {0: 40}}}) is None


def test_a_view_never_published_is_due_once_what_it_reads_is_there(clinic):
    known = views(clinic())
    first = due(known["visits_per_bed"], NOTHING, {"visits_per_bed": None})
    assert first is not None
    assert first.reasons == {FIRST: 0}
    assert due(known["busiest_bed"], NOTHING, {"busiest_bed": None, "visits_per_bed": None}) is None
    assert due(known["busiest_bed"], NOTHING, {"busiest_bed": None, "visits_per_bed": {"visits": {}}}) is not None


def test_a_view_is_due_when_a_view_it_reads_covers_more(clinic):
    view = views(clinic())["busiest_bed"]
    covered = {"busiest_bed": {"visits": {0: 5}, "beds": {0: 2}}, "visits_per_bed": {"visits": {0: 8}}}
    found = due(view, {"beds": {0: 2}, "visits": {0: 9}}, covered)
    assert found is not None
    assert found.reasons == {"visits_per_bed": 3}


def test_more_data_of_a_live_view_can_wait_and_a_new_text_cannot(clinic):
    text = "-- Visits per bed.\n-- live: {}\nSELECT id, COUNT(*) AS visits FROM visits GROUP BY id\n"
    waits = {}
    for live in ("true", "false"):
        view = views(clinic(**{"jobs/batch/visits_per_bed.sql": text.format(live)}))["visits_per_bed"]
        versions = (view.version, "the text before")
        found = [due(view, {"visits": {0: 9}}, {view.name: Published({"visits": {0: 5}}, v)}) for v in versions]
        found.append(due(view, {"visits": {0: 9}}, {view.name: None}))
        waits[live] = [module.apart(view, one).total_seconds() for one in found if one]
    assert waits == {"true": [600, 60, 60], "false": [60, 60, 60]}


def test_a_view_runs_for_a_quarter_of_the_time_and_a_new_text_at_once(clinic):
    view = views(clinic())["visits_per_bed"]
    more, new = (
        due(view, {"visits": {0: 9}}, {view.name: Published({"visits": {0: 5}}, v)}) for v in (view.version, "before")
    )
    took = [timedelta(seconds=s) for s in (10, 40, 5000)]
    assert more and [module.apart(view, more, t).total_seconds() for t in took] == [60, 160, 3600]
    assert new and [module.apart(view, new, t).total_seconds() for t in took] == [60, 60, 60]


def test_scheduled_views_are_left_to_their_schedule(clinic):
    assert "tariffs_now" not in views(clinic())


def test_a_view_waits_for_the_views_it_reads(clinic):
    known = views(clinic())
    lower = due(known["visits_per_bed"], {"visits": {0: 1}}, {"visits_per_bed": {}})
    upper = due(known["busiest_bed"], {"beds": {0: 1}}, {"busiest_bed": {}, "visits_per_bed": {}})
    assert lower
    assert upper
    assert set(hold_back({"visits_per_bed": lower, "busiest_bed": upper}, set(), known)) == {"visits_per_bed"}
    assert set(hold_back({"busiest_bed": upper}, {"visits_per_bed"}, known)) == set()
    assert set(hold_back({"busiest_bed": upper}, set(), known)) == {"busiest_bed"}


def test_the_same_due_is_recognised_and_a_new_text_is_another(clinic):
    one = views(clinic())["visits_per_bed"]
    other = views(clinic(**{"jobs/batch/visits_per_bed.sql": "-- Mended.\nSELECT id FROM visits\n"}))["visits_per_bed"]
    arguments = ({"visits": {0: 1}}, {"visits_per_bed": {}})
    assert due(one, *arguments) == due(one, *arguments)
    assert due(one, *arguments).seen != due(other, *arguments).seen
    assert due(one, *arguments).seen != due(one, {"visits": {0: 2}}, {"visits_per_bed": {}}).seen
