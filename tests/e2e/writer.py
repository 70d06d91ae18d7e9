"""Orders of three restaurants of our own, of which every number that readers may ever see is known."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from headrace.project import Project

# From here on ids of restaurants and orders are ours; the services' ids stay below.
COUNTED = OURS = 8_000_000_000  # the restaurant that gets one order after the other, of 1 each
CORRECTED = OURS + 1  # its one order's total is raised by 1 again and again
MOVED = OURS + 2  # its one order, of PRICE, is moved to the next day again and again
PRICE = 7
FIRST_DAY = "2026-01-01"
EVERY = 0.02  # seconds between two transactions


class Writer(threading.Thread):
    """Writes until told to stop, one transaction per thing that happens.

    Of each number (orders of COUNTED, total of CORRECTED, days moved of MOVED) `begun` is raised before its
    transaction begins and `done` after it is committed.
    """

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.address = project.addresses.source(project.source("orders"))
        self.enough = threading.Event()
        self.begun: dict[int, int] = dict.fromkeys((COUNTED, CORRECTED, MOVED), 0)
        self.done = dict(self.begun)
        self.failed: Exception | None = None

    def __enter__(self) -> Writer:
        with psycopg.connect(self.address) as connection:
            for restaurant in self.begun:
                connection.execute(
                    "INSERT INTO restaurants (id, name, city, cuisine) VALUES (%s, %s, 'Bern', 'swiss')",
                    (restaurant, f"Kitchen {restaurant}"),
                )
            self._place(connection, OURS, CORRECTED, 0)
            self._place(connection, OURS + 1, MOVED, PRICE)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.enough.set()
        self.join()
        if self.failed:
            raise self.failed

    def run(self) -> None:
        chance = random.Random(1)
        try:
            with psycopg.connect(self.address, autocommit=True) as connection:
                while not self.enough.wait(EVERY):
                    restaurant = chance.choices((COUNTED, CORRECTED, MOVED), (10, 10, 1))[0]
                    with self._counted(restaurant):
                        self._write(connection, restaurant)
        except Exception as error:
            self.failed = error

    def _write(self, connection: psycopg.Connection, restaurant: int) -> None:
        if restaurant == COUNTED:
            self._place(connection, OURS + 1 + self.begun[COUNTED], COUNTED, 1)
        elif restaurant == CORRECTED:
            connection.execute("UPDATE orders SET total = total + 1, updated_at = now() WHERE id = %s", (OURS,))
        else:
            moved = "UPDATE orders SET placed_at = placed_at + INTERVAL '1 day', updated_at = now() WHERE id = %s"
            connection.execute(moved, (OURS + 1,))

    def _place(self, connection: psycopg.Connection, number: int, restaurant: int, total: int) -> None:
        connection.execute(
            "INSERT INTO orders (id, customer_id, restaurant_id, status, total, placed_at)"
            " VALUES (%s, 1, %s, 'placed', %s, %s)",
            (number, restaurant, total, f"{FIRST_DAY} 12:00:00Z"),
        )

    @contextmanager
    def _counted(self, restaurant: int) -> Iterator[None]:
        self.begun[restaurant] += 1
        yield
        self.done[restaurant] += 1
