"""What `make soak` calls growth."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import grown, table
from tests.soak.look import BOUNDED, FORGOTTEN, STATE


def samples(**changed: list[float]) -> list[dict[str, float]]:
    """Nine looks at which everything stays as it is, but what is given."""
    names = (*BOUNDED, *FORGOTTEN, "lake MB", "topics MB")
    return [{name: changed.get(name, [100.0] * 9)[n] for name in names} for n in range(9)]


@pytest.mark.parametrize(
    ("values", "grows"),
    [
        ([100, 200, 300, 400, 500, 600, 700, 800, 900], True),
        ([100, 500, 900, 900, 900, 900, 900, 900, 900], False),  # until it is warm
        ([100, 100, 100, 100, 100, 100, 100, 100, 900], False),  # one look is no trend
        ([900, 900, 900, 900, 900, 900, 960, 970, 980], False),  # within a tenth
    ],
)
def test_growth_is_the_last_third_against_the_middle_one(values: list[float], grows: bool):
    found = samples(files=[float(v) for v in values])
    assert (list(grown(found)) == ["files"]) is grows


def test_what_nobody_minds_may_grow():
    assert grown(samples(behind=[float(10 * n) for n in range(9)])) == {}


@pytest.mark.parametrize(
    ("values", "grows"),
    [
        ([10, 20, 30, 40, 50, 60, 70, 80, 90], False),  # what is forgotten after an hour
        ([10, 20, 30, 40, 60, 80, 110, 150, 200], True),  # more and more of it for each change
        ([10, 20, 30, 30, 30, 30, 30, 30, 30], False),
    ],
)
def test_state_may_grow_evenly(values: list[float], grows: bool):
    assert (list(grown(samples(**{STATE: [float(v) for v in values]}))) == [STATE]) is grows


def test_the_table_has_bytes_per_change():
    lake = [float(n) for n in range(9)]
    said = table(samples(**{"lake MB": lake}), {"changes": 9_000, "changes_per_second": 5.0})
    assert "| lake MB | 1 | 4 | 7 | 8 |" in said
    assert "bytes per change: lake 1,000, topics 0, flink state 0" in said
