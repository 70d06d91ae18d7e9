"""Orders in real time: each is placed when its time comes, and its steps follow at their seconds."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from datetime import UTC, datetime
from random import Random

from demo import world
from demo.lane import Lane
from demo.order import Order, compose
from demo.services import LATE, Services
from demo.story import Step, story

TAIL = 12.0  # seconds after the last order; who is still on the road then is not delivered in this run
PRICE_LIST = 600.0  # seconds between two price lists
SETTLE = 8.0  # seconds until as many orders end as begin
_NEWCOMERS = 0.05
_LANES = ("orders", "payments", "loyalty", "events", "partner", *LATE)


class Live:
    """A clock that hands steps to the services. Each service works by itself, in order, as its own process would."""

    def __init__(self, services: Services, seed: int, rate: float) -> None:
        self.services, self.seed, self.rate = services, seed, rate
        self.random = Random(f"{seed}/live/{time.time_ns()}")
        self.placed = 0
        self.on_the_road = 0
        self.seconds = 0.0  # from the first order to the last acknowledgement
        self.placing = 0.0  # from the first order to the last
        self.steady = 0.0  # changes per second while orders came in, without the first and the last seconds
        self._stop = threading.Event()
        self._due: list[tuple[float, int, Order, Step]] = []
        self._number = itertools.count()
        self._customers = services.orders.customers()
        self._ids: dict[str, deque[int]] = {"orders": deque(), "order_items": deque(), "customers": deque()}
        self._restaurants = world.restaurants()
        self._lanes = {name: Lane(name) for name in _LANES}

    def stop(self, *_: object) -> None:
        """Ends the run early: no new steps; what was begun is finished."""
        self._stop.set()

    def run(self, number: int | None) -> None:
        """Places so many orders (None: until `stop`) and lets them run to their end, at most TAIL seconds longer."""
        began = time.monotonic()
        samples: deque[tuple[float, int]] = deque([(began, self.services.counts.changes)])
        next_order, next_list, last = began, began, began
        for name in LATE:
            self._lanes[name].put(getattr(self.services, name).prepare)
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                while (number is None or self.placed < number) and next_order <= now:
                    self._place(now)
                    last, next_order = now, max(next_order + 1 / self.rate, now - 1.0)  # after a pause, no flood
                if next_list <= now:
                    self.services.prices.publish(datetime.now(UTC))
                    next_list = now + PRICE_LIST
                self._hand_out(now)
                if now > samples[-1][0] + 1 and (number is None or self.placed < number):
                    samples.append((now, self.services.counts.changes))
                if number is not None and self.placed >= number and (not self._due or now > last + TAIL):
                    break
                upcoming = [self._due[0][0]] if self._due else []
                upcoming += [next_order] if number is None or self.placed < number else [last + TAIL]
                self._stop.wait(max(0.001, min(0.2, min(upcoming) - time.monotonic())))
        finally:
            self.on_the_road = len({order.id for _, _, order, step in self._due if step.verb == "status"})
            for lane in self._lanes.values():
                lane.finish()
            self.services.events.flush()
            self.placing, self.seconds = last - began, time.monotonic() - began
            settled = [s for s in samples if s[0] > began + SETTLE] or [
                samples[0]
            ]  # the first orders have not many steps yet
            (first, less), (final, more) = settled[0], samples[-1]
            self.steady = (
                (more - less) / (final - first)
                if final > first
                else (self.services.counts.changes - samples[0][1]) / self.seconds
            )

    def _place(self, now: float) -> None:
        newcomer = self.random.random() < _NEWCOMERS
        customer = (
            self._id("customers") if newcomer else self._customers[world.skewed(self.random, len(self._customers))]
        )
        restaurant = self._restaurants[world.skewed(self.random, len(self._restaurants))]
        items = [self._id("order_items") for _ in range(self.random.choice((1, 2, 2, 3)))]
        order = compose(self.seed, self._id("orders"), items, customer, restaurant, datetime.now(UTC), newcomer)
        for step in story(self.seed, order):
            heapq.heappush(self._due, (now + step.after, next(self._number), order, step))
        self.placed += 1

    def _hand_out(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, _, order, step = heapq.heappop(self._due)
            self._lanes[step.service].put(lambda order=order, step=step: self._do(order, step))

    def _do(self, order: Order, step: Step) -> None:
        data = step.data
        if step.verb == "roll_back":
            data = {"order_id": order.id}
        elif step.verb == "discard":
            data = {**data, "items": len(order.items)}
        getattr(getattr(self.services, step.service), step.verb)(**data)
        if step.verb == "place" and order.newcomer:
            self._customers.append(order.customer_id)  # from here on others may know them

    def _id(self, table: str) -> int:
        ids = self._ids[table]
        if not ids:
            ids.extend(self.services.orders.ids(table))
        return ids.popleft()
