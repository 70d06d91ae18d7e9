"""Mistakes in a Python stream job are shown in the user's file. (That one runs, test_example_alerts shows.)"""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.stream import ensure as stream
from headrace.stream.watch import list_jobs

WRONG = """# key: order_id
from headrace import alert_view


@alert_view
def bad_ratings(ratings_changes):
    from pyflink.table.expressions import col

    few = ratings_changes.filter(col("stars") < 2)
    return few.select(col("order_id"), col("starz"))
"""


def test_a_wrong_column_is_shown_at_its_line(company):
    (company.project.root / "jobs" / "stream" / "bad_ratings.py").write_text(WRONG)
    company.project = load(company.project.root)
    with pytest.raises(HeadraceError) as error:
        stream.ensure(company.project, "bad_ratings")
    problem = error.value.problems[0]
    assert (problem.place.path.name, problem.place.line) == ("bad_ratings.py", 10)
    assert (problem.message, problem.hint) == ("Cannot resolve field [starz]", "did you mean 'stars'?")
    (row,) = [r for r in list_jobs(company.project) if r["job"] == "bad_ratings"]
    assert (row["state"], "bad_ratings.py:10" in row["error"]) == ("NEW", True)
    (company.project.root / "jobs" / "stream" / "bad_ratings.py").unlink()
    company.project = load(company.project.root)
