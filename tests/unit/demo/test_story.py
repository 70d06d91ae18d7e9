"""The stories of orders: repeatable, whole, and with everything that a platform must survive."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from demo import world
from demo.order import Order, compose
from demo.story import LATE, Step, story

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MANY = 3000


def order(id: int, seed: int = 1) -> Order:
    restaurant = world.restaurants()[id % world.RESTAURANTS]
    return compose(seed, id, [id * 10, id * 10 + 1], id % 300 + 1, restaurant, AT, newcomer=False)


@pytest.fixture(scope="module")
def stories() -> dict[int, list[Step]]:
    return {id: story(1, order(id)) for id in range(1, MANY + 1)}


def verbs(steps: list[Step]) -> list[str]:
    return [step.verb for step in steps]


def test_the_same_seed_tells_the_same_story():
    assert order(7) == order(7)
    assert story(5, order(7)) == story(5, order(7))
    assert [story(5, order(n)) for n in range(20)] != [story(6, order(n)) for n in range(20)]


def test_steps_come_in_order_of_time(stories: dict[int, list[Step]]):
    for steps in stories.values():
        assert steps == sorted(steps, key=lambda step: step.after)
        assert steps[0].verb == "place"


def test_status_changes_form_a_chain(stories: dict[int, list[Step]]):
    for steps in stories.values():
        status = steps[0].data["status"]
        for step in steps:
            if step.verb == "status":
                assert step.data["was"] == status
                status = step.data["becomes"]


def test_one_order_id_links_trip_delivery_payment_and_rating(stories: dict[int, list[Step]]):
    for id, steps in stories.items():
        for step in steps:
            if step.verb == "pay":
                assert (step.data["order_id"], step.data["payment_id"] // 100) == (id, id)
            if step.verb == "send" and step.data["kind"] != "malformed" and step.data["table"] != "courier_pings":
                assert json.loads(step.data["value"])["order_id"] == id


def test_the_last_price_correction_is_what_is_captured(stories: dict[int, list[Step]]):
    corrected = 0
    for id, steps in stories.items():
        items = {item.id: item for item in order(id).items}
        for step in steps:
            if step.verb == "correct":
                items[step.data["item_id"]] = items[step.data["item_id"]]._replace(price=step.data["price"])
                assert step.data["total"] == sum(i.price * i.quantity for i in items.values())
                corrected += 1
            if step.verb == "capture":
                assert step.data["amount"] == sum(i.price * i.quantity for i in items.values())
    assert corrected > 30


def test_everything_a_platform_must_survive_happens(stories: dict[int, list[Step]]):
    counts = Counter(verb for steps in stories.values() for verb in verbs(steps))
    for verb in (
        "roll_back",
        "discard",
        "correct",
        "move_customer",
        "refund",
        "remove_refund",
        "capture",
        "earn",
        "write",
        "remove",
        "deliver",
        "promote",
        "end",
    ):
        assert counts[verb] > 0, verb
    sends = [step.data for steps in stories.values() for step in steps if step.verb == "send"]
    kinds = Counter(data["kind"] for data in sends)
    for kind in ("event", "late", "very late", "repeat", "malformed"):
        assert kinds[kind] > 10, kind
    pings = [json.loads(d["value"]) for d in sends if d["table"] == "courier_pings" and d["kind"] == "event"]
    assert any(ping["emergency"] for ping in pings)
    payments = [step.data for steps in stories.values() for step in steps if step.verb == "pay"]
    failed = [data for data in payments if data["status"] == "failed"]
    assert any(data["amount"] > 100 for data in failed)
    assert max(Counter(data["order_id"] for data in failed).values()) >= 3, "no burst"
    arrivals = [
        (step.after, steps) for steps in stories.values() for step in steps if step.data.get("becomes") == "delivered"
    ]
    assert any(after > LATE for after, _ in arrivals)
    assert any("status" in verbs(s) and s[-1].data.get("becomes") != "delivered" for s in stories.values())


def test_a_repeat_is_the_same_bytes_after_the_first(stories: dict[int, list[Step]]):
    for steps in stories.values():
        seen: list[bytes] = []
        for step in steps:
            if step.verb == "send" and step.data["kind"] == "repeat":
                assert step.data["value"] in seen
            elif step.verb == "send":
                assert step.data["value"] not in seen, "an event_id twice"
                seen.append(step.data["value"])


def test_accounts_are_skewed():
    from random import Random

    random = Random(1)
    ranks = Counter(world.skewed(random, 1500) for _ in range(20_000))
    assert 0 <= min(ranks) <= max(ranks) < 1500
    assert ranks[0] > 5 * ranks[9] > 0


def test_prices_are_exact_and_differ_by_day():
    prices = {world.price(3, dish, datetime(2026, 3, day).date()) for dish in world.menu(3) for day in range(1, 29)}  # noqa: DTZ001
    assert all(price == price.quantize(Decimal("0.01")) and price > 0 for price in prices)
    assert len(prices) > len(world.menu(3))


def test_every_city_has_couriers():
    from random import Random

    for city in world.CITIES:
        for seed in range(50):
            assert world.city_of(world.courier_in(city, Random(seed))) == city
