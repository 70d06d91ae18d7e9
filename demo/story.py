"""What happens to one order, from its first row to its rating: a pure function of the seed and the order's id.

An order is a list of steps. The services carry them out one by one in real time (`live`); the history is the same
steps folded into rows (`history`). All ids of trips, deliveries, payments and events derive from the order's id.
"""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from demo import world
from demo.broken import broken
from demo.order import Order

LATE = 60.0  # seconds after placing; the company promises less
TOLD = 0.1  # seconds until the orders service has heard of a refund


class Step(NamedTuple):
    """One thing a service does, `after` seconds from the start of the order."""

    after: float
    service: str
    verb: str
    data: dict[str, Any]


def story(seed: int, order: Order) -> list[Step]:
    """All steps of an order, in order of time."""
    return _Story(Random(f"{seed}/story/{order.id}"), Random(f"{seed}/beside/{order.id}"), order).tell()


class _Story:
    def __init__(self, random: Random, beside: Random, order: Order) -> None:
        self.random = random
        self.beside = beside
        self.order = order
        self.steps: list[Step] = []
        self.courier = world.courier_in(order.restaurant.city, random)
        self.total = order.total

    def tell(self) -> list[Step]:
        random, order, start = self.random, self.order, 0.0
        draft = random.random() < 0.05
        self.do(0.0, "orders", "place", order=order, status="draft" if draft else "placed")
        self.plan()
        if random.random() < 0.01:
            self.do(0.0, "orders", "roll_back")
        if random.random() < 0.01:
            self.do(
                random.uniform(0, 2),
                "orders",
                "move_customer",
                customer_id=order.customer_id,
                city=random.choice(list(world.CITIES)),
            )
        if random.random() < 0.002:
            self.do(
                random.uniform(0, 2),
                "orders",
                "move_restaurant",
                restaurant_id=order.restaurant.id,
                city=random.choice(list(world.CITIES)),
            )
        if draft:
            start = random.uniform(0.5, 1.5)
            if random.random() < 0.6:
                self.do(start, "orders", "discard", order_id=order.id)
                return self.told()
            self.status(start, "draft", "placed")
        paid = self.pay(start + random.uniform(0.05, 0.3))
        if paid is None or random.random() < 0.04:
            self.status((paid or start + 2.0) + random.uniform(0.2, 3), "placed", "cancelled")
            return self.told()
        self.deliver(paid + random.uniform(0.1, 0.5), start)
        return self.told()

    def pay(self, at: float) -> float | None:
        """Tries until a payment is authorised; returns when, or None if the customer gave up."""
        random, account = self.random, self.order.customer_id
        troubled = account % 37 == 5  # accounts whose cards fail in bursts
        failures = random.randint(3, 5) if troubled else int(random.random() < (0.3 if self.order.catering else 0.04))
        for attempt in range(1, failures + 2):
            succeeds = attempt > failures
            if succeeds and troubled and random.random() < 0.5:
                return None
            method = random.choice(("card", "card", "wallet", "invoice"))
            self.payment = self.order.id * 100 + attempt
            data = {
                "payment_id": self.payment,
                "order_id": self.order.id,
                "account_id": account,
                "amount": self.total,
                "method": method,
            }
            self.do(at, "payments", "pay", status="authorised" if succeeds else "failed", **data)
            if not succeeds:
                at += random.uniform(0.2, 1.2)
        return at

    def deliver(self, at: float, start: float) -> None:
        random, order = self.random, self.order
        self.status(at, "placed", "cooking")
        if random.random() < 0.04:
            self.correct(at + random.uniform(0.1, 0.4))
        began = at + random.uniform(0.3, 0.8)
        picked = began + random.uniform(0.5, 2)
        luck = random.random()
        arrives = start + LATE + random.uniform(2, 25) if luck < 0.02 else picked + random.uniform(1, 4)
        undelivered = luck > 0.98
        self.event("trips", began, event_id=f"trip-{order.id}-started", trip_id=f"trip-{order.id}", event="started")
        self.status(picked, "cooking", "picked_up")
        self.event(
            "deliveries",
            picked,
            event_id=f"delivery-{order.id}-picked-up",
            delivery_id=f"delivery-{order.id}",
            status="picked_up",
        )
        self.pings(began, min(arrives, began + 8))
        if undelivered:
            return
        self.event(
            "deliveries",
            arrives,
            event_id=f"delivery-{order.id}-delivered",
            delivery_id=f"delivery-{order.id}",
            status="delivered",
        )
        self.status(arrives, "picked_up", "delivered")
        self.event(
            "trips", arrives + 0.1, event_id=f"trip-{order.id}-finished", trip_id=f"trip-{order.id}", event="finished"
        )
        self.do(arrives + random.uniform(0.05, 0.3), "payments", "capture", payment_id=self.payment, amount=self.total)
        if order.customer_id % 2 == 0:
            self.do(
                arrives + 0.4,
                "loyalty",
                "earn",
                account_id=order.customer_id,
                points=int(self.total),
                order_id=order.id,
            )
        if random.random() < 0.6:
            stars = random.choice((1, 2, 3, 4, 4, 5, 5, 5)) if arrives < start + LATE else random.choice((1, 1, 2))
            comment = random.choice((None, "Hot and on time.", "Cold :(", "Très bon! 👍", 'The "small" was large.'))
            self.event(
                "ratings", arrives + random.uniform(0.5, 3), event_id=f"rating-{order.id}", stars=stars, comment=comment
            )
        if random.random() < 0.03:
            self.refund(arrives + random.uniform(0.5, 3))
        if self.beside.random() < 0.2:
            self.review(arrives + self.beside.uniform(0.5, 2))

    def plan(self) -> None:
        """Now and then the restaurant changes where it delivers and for what, and the partner what it promotes."""
        beside, restaurant = self.beside, self.order.restaurant.id
        if beside.random() < 0.03:
            area = beside.choice(world.areas()).id
            fee = world.fee(restaurant, area) + beside.choice((-0.5, 0.35, 1.15))
            minutes = 15 + beside.randrange(10) * 5
            self.do(0.1, "areas", "deliver", restaurant_id=restaurant, area_id=area, fee=round(fee, 2), minutes=minutes)
        if beside.random() < 0.03:
            promotion, day = f"promotion-{self.order.id}", self.order.at.date()
            percent, share = beside.choice((5, 10, 15, 25)), f"{beside.randrange(50, 400) / 100:.2f}"
            ends = day + timedelta(days=beside.randint(1, 30))
            said = {"promotion_id": promotion, "restaurant_id": restaurant, "percent": percent, "share": share}
            self.do(0.2, "partner", "promote", **said, ends_on=ends)
            if beside.random() < 0.4:
                self.do(beside.uniform(1, 6), "partner", "end", promotion_id=promotion, on=day)

    def review(self, at: float) -> None:
        """What a guest writes on the review site; some write it anew, some take it back."""
        beside, which = self.beside, {"restaurant_id": self.order.restaurant.id, "order_id": self.order.id}
        food, delivery = beside.randint(2, 5), beside.randint(1, 5)
        self.do(
            at, "reviews", "write", **which, food=food, delivery=delivery, text=beside.choice((None, "Très bon! 👍"))
        )
        luck = beside.random()
        if luck < 0.15:
            self.do(at + 1, "reviews", "write", **which, food=1, delivery=delivery, text="I was ill the next day.")
        elif luck < 0.3:
            self.do(at + 1, "reviews", "remove", **which)

    def refund(self, at: float) -> None:
        amount = (self.total * self.random.choice((25, 50, 100)) / 100).quantize(Decimal("0.01"))
        reason = self.random.choice(("missing dish", "cold", "late", None))
        order = self.order.id
        self.do(at, "payments", "refund", payment_id=self.payment, order_id=order, amount=amount, reason=reason)
        self.do(at + TOLD, "orders", "give_back", order_id=order, amount=amount)
        if self.random.random() < 0.25:
            at += self.random.uniform(0.5, 2)
            self.do(at, "payments", "remove_refund", payment_id=self.payment)
            self.do(at + TOLD, "orders", "give_back", order_id=order, amount=Decimal())

    def correct(self, at: float) -> None:
        """The restaurant mistyped a price: the item and the order's total change together."""
        item = self.random.choice(self.order.items)
        price = max(item.price - Decimal("1.35"), Decimal("0.50"))
        self.total += (price - item.price) * item.quantity
        self.do(at, "orders", "correct", order_id=self.order.id, item_id=item.id, price=price, total=self.total)

    def pings(self, begin: float, end: float) -> None:
        north, east = world.CITIES[self.order.restaurant.city]
        emergency, number, at = self.random.random() < 0.01, 0, begin
        battery = self.random.randint(5, 100)
        while at < end:
            number += 1
            where = {
                "latitude": round(north + self.random.gauss(0, 0.02), 6),
                "longitude": round(east + self.random.gauss(0, 0.02), 6),
            }
            state = {
                "battery": self.random.choice((battery, battery, battery, None)),
                "emergency": emergency and number == 2,
            }
            self.event(
                "courier_pings",
                at,
                event_id=f"ping-{self.order.id}-{number}",
                device_id=f"device-{self.courier}",
                **where,
                **state,
            )
            at += self.random.uniform(1.0, 2.0)

    def status(self, at: float, was: str, becomes: str) -> None:
        self.do(at, "orders", "status", order_id=self.order.id, was=was, becomes=becomes)

    def event(self, table: str, at: float, **values: Any) -> None:
        """An event; some were recorded well before they could be sent, some are sent twice, some come out broken."""
        luck = self.random.random()
        late = self.random.uniform(1, 4) if luck < 0.03 else self.random.uniform(10, 120) if luck < 0.04 else 0.0
        kind = "event" if not late else "late" if late < 5 else "very late"
        who = {"courier_id": self.courier} if table != "ratings" else {}
        which = {"order_id": self.order.id} if table != "courier_pings" else {}
        moment = self.order.at + timedelta(seconds=at - late)
        value = {
            **values,
            **which,
            **who,
            "occurred_at": moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        key = str(self.courier if table == "courier_pings" else self.order.id)
        sent = {"table": table, "key": key, "correlation": f"order-{self.order.id}"}
        self.do(at, "events", "send", value=text, kind=kind, moment=moment, **sent)
        if self.random.random() < 0.02:
            self.do(
                at + self.random.uniform(0.2, 2), "events", "send", value=text, kind="repeat", moment=moment, **sent
            )
        if self.random.random() < 0.002:
            self.do(at, "events", "send", value=broken(value, self.random), kind="malformed", moment=moment, **sent)

    def do(self, after: float, service: str, verb: str, **data: Any) -> None:
        self.steps.append(Step(after, service, verb, data))

    def told(self) -> list[Step]:
        return sorted(self.steps, key=lambda step: step.after)
