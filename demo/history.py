"""The last days, loaded in bulk once: the same stories as live ones, folded into the rows that they leave behind."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from demo import world
from demo.areas import Way
from demo.order import Order, compose
from demo.orders import past
from demo.partner import Promotion
from demo.reviews import Review
from demo.services import Services
from demo.story import Step, story

DAYS = 14


def load(services: Services, seed: int, number: int, late: bool) -> bool:
    """Writes so many past orders, unless that was done before. Goes on where an interrupted load stopped.

    `late`: what these orders left at the services whose databases start late (services.LATE), else all the rest.
    """
    memo = services.project.state / "demo" / "history.json"
    if memo.exists():
        noted = json.loads(memo.read_text())
    elif services.orders.any() or not number:
        return False
    else:
        noted = {"seed": seed, "now": datetime.now(UTC).isoformat(), "done": False, "late": False}
        noted["ids"] = services.orders.ids("orders", number)
        noted["items"] = services.orders.ids("order_items", number * 3)
        memo.write_text(json.dumps(noted))
    done = "late" if late else "done"
    if noted.get(done):
        return False
    fold = _Fold(noted["seed"], datetime.fromisoformat(noted["now"]), noted["ids"], noted["items"])
    if late:
        services.reviews.load(fold.reviews.values())
        services.areas.load(fold.ways.values())
        memo.write_text(json.dumps({**noted, done: True}))
        return True
    services.prepare_prices(datetime.fromisoformat(noted["now"]), DAYS)
    if not services.orders.is_there(fold.orders[0][0]):
        services.orders.load(fold.orders, fold.items)
    services.payments.load(fold.payments, fold.refunds)
    services.loyalty.load(fold.points)
    services.partner.load(fold.promotions.values())
    for event in sorted(fold.events, key=lambda data: data["moment"]):
        services.events.send(**event)
    services.events.flush()
    memo.write_text(json.dumps({**noted, done: True}))
    return True


class _Fold:
    """Carries the steps of all orders out in memory."""

    def __init__(self, seed: int, now: datetime, ids: list[int], item_ids: list[int]) -> None:
        self.orders: list[tuple] = []
        self.items: list[tuple] = []
        self.payments: list[tuple] = []
        self.refunds: list[tuple] = []
        self.points: dict[int, tuple[int, datetime]] = {}
        self.events: list[dict[str, Any]] = []
        self.reviews: dict[int, Review] = {}
        self.ways: dict[tuple[int, int], Way] = {}
        self.promotions: dict[str, Promotion] = {}
        random = Random(f"{seed}/history")
        restaurants = world.restaurants()
        moments = sorted(_moment(random, now) for _ in ids)
        for number, (id, at) in enumerate(zip(ids, moments, strict=True)):
            items = item_ids[number * 3 : number * 3 + random.choice((1, 2, 2, 3))]
            customer = world.skewed(random, world.CUSTOMERS) + 1
            restaurant = restaurants[world.skewed(random, world.RESTAURANTS)]
            order = compose(seed, id, items, customer, restaurant, at, newcomer=False)
            self.fold(order, story(seed, order))

    def fold(self, order: Order, steps: list[Step]) -> None:
        status, total, refunded, updated, kept = "placed", order.total, Decimal(), order.at, True
        items = {i.id: i for i in order.items}
        payments: dict[int, list[Any]] = {}
        refunds: dict[int, tuple] = {}
        for after, _, verb, data in steps:
            at = order.at + timedelta(seconds=after)
            match verb:
                case "place":
                    status = data["status"]
                case "status":
                    status, updated = data["becomes"], at
                case "correct":
                    total, updated = data["total"], at
                    items[data["item_id"]] = items[data["item_id"]]._replace(price=data["price"])
                case "give_back":
                    refunded, updated = data["amount"], at
                case "discard":
                    kept = False
                case "pay":
                    payments[data["payment_id"]] = [
                        *(data[k] for k in ("order_id", "account_id", "amount", "method", "status")),
                        at,
                        at,
                    ]
                case "capture":
                    row = payments[data["payment_id"]]
                    row[2], row[4], row[6] = data["amount"], "captured", at
                case "refund":
                    refunds[data["payment_id"]] = (
                        data["payment_id"],
                        data["order_id"],
                        data["amount"],
                        data["reason"],
                        at.replace(tzinfo=None),
                    )
                case "remove_refund":
                    refunds.pop(data["payment_id"])
                case "earn":
                    points, _ = self.points.get(data["account_id"], (0, at))
                    self.points[data["account_id"]] = (points + data["points"], at)
                case "send":
                    self.events.append(data)
                case "write":
                    self.reviews[order.id] = Review(**data, written_at=at)
                case "remove":
                    self.reviews.pop(order.id)
                case "deliver":
                    self.ways[data["restaurant_id"], data["area_id"]] = Way(**data, updated_at=at)
                case "promote":
                    first = (data["promotion_id"], data["restaurant_id"], data["percent"], data["share"])
                    self.promotions[first[0]] = Promotion(*first, at.date(), data["ends_on"], at)
                case "end":
                    one = self.promotions[data["promotion_id"]]
                    self.promotions[one.id] = one._replace(ends_on=data["on"], updated_at=at)
        if kept:
            self.orders.append(past(order, status, total, refunded, updated))
            self.items += [(i.id, order.id, i.dish, i.quantity, i.price) for i in items.values()]
        self.payments += [
            (id, *row[:5], row[5].replace(tzinfo=None), row[6].replace(tzinfo=None)) for id, row in payments.items()
        ]
        self.refunds += [(id, *row) for id, row in refunds.items()]


def _moment(random: Random, now: datetime) -> datetime:
    """A moment of the last days, most often at noon or in the evening."""
    day = now - timedelta(days=random.uniform(0, DAYS))
    if random.random() < 0.8:
        day = day.replace(hour=random.choice((11, 12, 12, 18, 19, 19, 20)))
    return min(day, now - timedelta(minutes=5))
