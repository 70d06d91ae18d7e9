"""An order: who orders which dishes where. Follows from the seed, the ids and the day's prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import NamedTuple

from demo import world


class Item(NamedTuple):
    id: int
    dish: str
    quantity: int
    price: Decimal


@dataclass(frozen=True)
class Order:
    """Who orders what where. `newcomer` is a customer who signs up with this order."""

    id: int
    customer_id: int
    restaurant: world.Restaurant
    items: tuple[Item, ...]
    at: datetime
    newcomer: bool = False
    catering: bool = False

    @property
    def total(self) -> Decimal:
        return sum((i.price * i.quantity for i in self.items), Decimal())


def compose(
    seed: int,
    order_id: int,
    item_ids: list[int],
    customer_id: int,
    restaurant: world.Restaurant,
    at: datetime,
    newcomer: bool,
) -> Order:
    """An order of as many items as there are ids."""
    random = Random(f"{seed}/order/{order_id}")
    catering = random.random() < 0.02
    dishes = random.sample(sorted(world.menu(restaurant.id)), len(item_ids))
    items = []
    for item_id, dish in zip(item_ids, dishes, strict=True):
        quantity = random.choice((1, 1, 1, 2, 2, 3)) * (6 if catering else 1)
        items.append(Item(item_id, dish, quantity, world.price(restaurant.id, dish, at.date())))
    return Order(order_id, customer_id, restaurant, tuple(items), at, newcomer, catering)
