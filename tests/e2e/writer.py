"""Orders of restaurants of their own, changed by transactions whose results are known: what a live view may show.

Each order is the only one of its two restaurants, between which it moves. All changes of one order come through one
partition, so what a reader sees of a restaurant can only move forward through the restaurant's states.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import psycopg

from headrace.project import Project

FIRST = 900_000  # number of the first restaurant
DAY = "2020-01-01"  # in UTC
PAUSE = 0.05  # seconds between two transactions, so that some are visible one by one
STATE = "revenue, refunded, orders, cancelled, customers"
PLACE = f"""INSERT INTO orders (id, customer_id, restaurant_id, status, total, placed_at)
  VALUES (%s, 1, %s, 'placed', %s, '{DAY} 12:00:00Z')"""
State = tuple[Any, ...] | None  # None: no order is there


class Writer:
    """Changes its orders until the block ends. `states[r]` are those of restaurant r, in order; `committed(r)` of them
    may have been seen, the last one only perhaps."""

    def __init__(self, project: Project, orders: int = 4, seed: int = 1) -> None:
        self.address = project.addresses.source(project.source("orders"))
        self.restaurants = [FIRST + n for n in range(2 * orders)]
        self.states: dict[int, list[State]] = {r: [None] for r in self.restaurants}
        self.random = Random(seed)
        self.transactions = 0
        self._lock, self._stop = Lock(), Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="writer")

    def __enter__(self) -> Writer:
        with psycopg.connect(self.address) as connection:
            for restaurant in self.restaurants:
                query = "INSERT INTO restaurants (id, name, city, cuisine) VALUES (%s, %s, 'Bern', 'soup')"
                connection.execute(query, (restaurant, f"restaurant {restaurant}"))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error

    def begun(self) -> dict[int, int]:
        """How many states of each restaurant a reader that asked before this call may have seen."""
        with self._lock:
            return {r: len(s) for r, s in self.states.items()}

    def _run(self) -> None:
        try:
            with psycopg.connect(self.address, autocommit=True) as connection:
                while not self._stop.wait(PAUSE):
                    self._change(connection, self.random.randrange(0, len(self.restaurants), 2))
        except BaseException as error:
            self._error = error

    def _change(self, connection: psycopg.Connection, pair: int) -> None:
        here = self.restaurants[pair]
        at = next((r for r in (here, here + 1) if self.states[r][-1]), None)
        self.transactions += 1
        total, id_ = Decimal(self.transactions).scaleb(-2), here  # an order's number is its first restaurant's
        if at is None:
            self._say(connection, {here: (total, Decimal(0), 1, 0, 1)}, PLACE, (id_, here, total))
            return
        match self.random.choice(("correct", "correct", "refund", "move", "cancel", "delete")):
            case "correct":
                query = "UPDATE orders SET total = %s, status = 'placed', refunded = 0 WHERE id = %s"
                self._say(connection, {at: (total, Decimal(0), 1, 0, 1)}, query, (total, id_))
            case "refund":
                query = "UPDATE orders SET total = 500, refunded = %s, status = 'delivered' WHERE id = %s"
                self._say(connection, {at: (500 - total, total, 1, 0, 1)}, query, (total, id_))
            case "move":
                other = here + 1 if at == here else here
                query = (
                    "UPDATE orders SET restaurant_id = %s, total = %s, status = 'placed', refunded = 0 WHERE id = %s"
                )
                self._say(connection, {at: None, other: (total, Decimal(0), 1, 0, 1)}, query, (other, total, id_))
            case "cancel":
                query = "UPDATE orders SET status = 'cancelled', refunded = 0 WHERE id = %s"
                self._say(connection, {at: (Decimal(0), Decimal(0), 0, 1, 1)}, query, (id_,))
            case "delete":
                self._say(connection, {at: None}, "DELETE FROM orders WHERE id = %s", (id_,))

    def _say(self, connection: psycopg.Connection, new: dict[int, State], query: str, values: tuple[Any, ...]) -> None:
        """Notes the states before they can be seen, then commits."""
        with self._lock:
            for restaurant, state in new.items():
                self.states[restaurant].append(state)
        connection.execute(query, values)  # type: ignore[arg-type]


def first_wrong(states: list[State], seen: list[tuple[int, State]]) -> str:
    """'' when what a reader saw of a restaurant goes forward through its states; else what does not.

    `seen` are pairs of how many states there were after the question, and the answer.
    """
    at = 0
    for number, (begun, state) in enumerate(seen):
        found = next((n for n in range(at, min(begun, len(states))) if states[n] == state), None)
        if found is None:
            return f"answer {number} of {len(seen)} is {state}, states from there on: {states[at:begun][:9]}"
        at = found
    return ""
