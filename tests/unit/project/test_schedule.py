"""Schedules: what Airflow would take is taken, the rest is refused with its part."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import Place
from headrace.project.schedule import PRESETS, problem

AT = Place(Path("jobs/batch/a.sql"), 1, 14)
GOOD = [
    *PRESETS,
    "on new data",
    "On new data",
    "* * * * *",
    "*/15 6-18 * * mon-fri",
    "0 0 1,15 jan,JUL *",
    "5-59/10 0-23/2 * * 0-7",
    "0 6 L * ?",
    "0 6 * * fri#1",
    "0 6 15w * *",
]


@pytest.mark.parametrize("text", GOOD)
def test_good(text: str):
    assert problem(text, AT) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("daily", "'daily' is not a schedule"),
        ("* * * *", "'* * * *' is not a schedule"),
        ("* * * * * *", "'* * * * * *' is not a schedule"),
        ("60 * * * *", "'60 * * * *' is not a schedule: '60' is no minute (0 to 59)"),
        ("* 24 * * *", "'* 24 * * *' is not a schedule: '24' is no hour (0 to 23)"),
        ("* * 0 * *", "'* * 0 * *' is not a schedule: '0' is no day of the month (1 to 31)"),
        ("* * * 13 *", "'* * * 13 *' is not a schedule: '13' is no month (1 to 12)"),
        ("* * * * 8", "'* * * * 8' is not a schedule: '8' is no day of the week (0 to 7)"),
        ("* * * foo *", "'* * * foo *' is not a schedule: 'foo' is no month"),
        ("1-2-3 * * * *", "'1-2-3 * * * *' is not a schedule: '1-2-3' is no minute"),
        ("1, * * * *", "'1, * * * *' is not a schedule: '' is no minute"),
        ("*/x * * * *", "'*/x * * * *' is not a schedule: 'x' is no step of the minute"),
        ("@weakly", "no such schedule '@weakly'"),
    ],
)
def test_bad(text: str, says: str):
    wrong = problem(text, AT)
    assert wrong is not None and wrong.message == says and wrong.place == AT


def test_sources_know_no_new_data():
    wrong = problem("on new data", AT, events=False)
    assert wrong is not None and wrong.hint.startswith("such as @hourly")
    wrong = problem("@week", AT, events=False)
    assert wrong is not None and wrong.hint == "did you mean '@weekly'?"
