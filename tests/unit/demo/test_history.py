"""The history: the same steps as live orders, folded into the rows they leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from demo.history import DAYS, _Fold

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
IDS = list(range(1, 801))


def fold() -> _Fold:
    return _Fold(1, NOW, IDS, list(range(1, 3 * len(IDS) + 1)))


def test_it_is_the_same_each_time():
    first, second = fold(), fold()
    assert (first.orders, first.items, first.payments) == (second.orders, second.items, second.payments)
    assert first.events == second.events
    assert (first.reviews, first.ways, first.promotions) == (second.reviews, second.ways, second.promotions)
    assert first.reviews and first.ways and first.promotions


def test_totals_are_the_sum_of_the_items_and_items_belong_to_orders():
    made = fold()
    totals = {row[0]: row[4] for row in made.orders}
    sums = dict.fromkeys(totals, 0)
    for _, order_id, _, quantity, price in made.items:
        sums[order_id] += quantity * price
    assert sums == totals
    assert 0 < len(totals) < len(IDS), "discarded drafts leave no row"


def test_ids_are_unique_and_payments_belong_to_placed_orders():
    made = fold()
    assert len({row[0] for row in made.items}) == len(made.items)
    assert len({row[0] for row in made.payments}) == len(made.payments)
    assert {row[1] for row in made.payments} <= {row[0] for row in made.orders}
    assert {row[1] for row in made.refunds} <= {row[0] for row in made.payments}


def test_orders_say_what_was_given_back():
    made = fold()
    given_back = {row[2]: row[3] for row in made.refunds}
    assert given_back == {row[0]: row[5] for row in made.orders if row[5]}


def test_it_lies_in_the_last_days_and_ids_grow_with_time():
    placed = [row[6] for row in fold().orders]
    assert placed == sorted(placed)
    assert placed[-1] <= NOW
    assert placed[0] >= NOW - timedelta(days=DAYS + 1)
