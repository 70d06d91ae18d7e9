"""A service's thread: in order, to the end, and its first error reaches the caller."""

from __future__ import annotations

import pytest

from demo.lane import Lane


def test_work_is_done_in_order_before_finish_returns():
    lane, done = Lane("orders"), []
    for number in range(100):
        lane.put(lambda n=number: done.append(n))
    lane.finish()
    assert done == list(range(100))


def test_the_first_error_is_raised_and_nothing_after_it_is_done():
    lane, done = Lane("orders"), []
    lane.put(lambda: done.append(1 / 0))
    lane.put(lambda: done.append(2))
    with pytest.raises(ZeroDivisionError):
        lane.finish()
    assert done == []
