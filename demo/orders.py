"""The orders service: PostgreSQL, one transaction per thing that happens. Ids come from the database in blocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from demo import world
from demo.counts import Counts
from demo.link import Link
from demo.order import Order
from demo.schema import ORDERS

_BLOCK = 200
_PLACE = "INSERT INTO orders (id, customer_id, restaurant_id, status, total) VALUES (%s, %s, %s, %s, %s)"
_ITEM = "INSERT INTO order_items (id, order_id, dish, quantity, price) VALUES (%s, %s, %s, %s, %s)"


class Orders:
    """Writes orders. Each method is one transaction, repeated after a lost connection only if it didn't commit."""

    def __init__(self, address: str, counts: Counts) -> None:
        self.link = self._link(address)
        self._ids = self._link(address)  # the clock's thread takes ids while the service's own thread writes
        self.counts = counts

    def prepare(self) -> None:
        """Creates what is missing: tables, restaurants, customers."""
        self.link.run(_prepare)

    def ids(self, table: str, number: int = _BLOCK) -> list[int]:
        """New ids of a table, never given out again, in growing order."""
        query = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
        rows = self._ids.run(lambda c: c.execute(query, (table, number)).fetchall())
        return [row[0] for row in rows or ()]

    def customers(self) -> list[int]:
        return [
            row[0]
            for row in self.link.run(lambda c: c.execute("SELECT id FROM customers ORDER BY id").fetchall()) or ()
        ]

    def place(self, order: Order, status: str) -> None:
        """The order, its items and, if the customer is new, the customer: all or nothing."""

        def work(connection: psycopg.Connection) -> None:
            with connection.pipeline(), connection.transaction():
                self._insert(connection, order, status)

        self.link.run(work, self._is_there("orders", order.id))
        self.counts.add("customers", "inserted", int(order.newcomer))
        self.counts.add("orders", "inserted")
        self.counts.add("order_items", "inserted", len(order.items))

    def roll_back(self, order_id: int) -> None:
        """An order that is not taken after all: it is written and rolled back, so it must show up nowhere."""

        def work(connection: psycopg.Connection) -> None:
            with connection.transaction(force_rollback=True):
                connection.execute(_PLACE, (-order_id, 1, 1, "placed", Decimal("999999.99")))

        self.link.run(work)
        self.counts.add("orders", "rolled back")

    def status(self, order_id: int, was: str, becomes: str) -> None:
        query = "UPDATE orders SET status = %s, updated_at = now() WHERE id = %s AND status = %s"
        self.link.run(
            lambda c: c.execute(query, (becomes, order_id, was)),
            self._says("SELECT status FROM orders WHERE id = %s", order_id, becomes),
        )
        self.counts.add("orders", "updated")

    def correct(self, order_id: int, item_id: int, price: Decimal, total: Decimal) -> None:
        """A price correction changes the item and the order's total together."""

        def work(connection: psycopg.Connection) -> None:
            with connection.pipeline(), connection.transaction():
                connection.execute("UPDATE order_items SET price = %s WHERE id = %s", (price, item_id))
                connection.execute("UPDATE orders SET total = %s, updated_at = now() WHERE id = %s", (total, order_id))

        self.link.run(work, self._says("SELECT total FROM orders WHERE id = %s", order_id, total))
        self.counts.add("order_items", "updated")
        self.counts.add("orders", "updated")

    def give_back(self, order_id: int, amount: Decimal) -> None:
        """Payments told us of a refund, or that it was a mistake."""
        query = "UPDATE orders SET refunded = %s, updated_at = now() WHERE id = %s"
        self.link.run(
            lambda c: c.execute(query, (amount, order_id)),
            self._says("SELECT refunded FROM orders WHERE id = %s", order_id, amount),
        )
        self.counts.add("orders", "updated")

    def discard(self, order_id: int, items: int) -> None:
        """A draft that was never placed goes away with its items."""

        def work(connection: psycopg.Connection) -> None:
            with connection.pipeline(), connection.transaction():
                connection.execute("DELETE FROM order_items WHERE order_id = %s", (order_id,))
                connection.execute("DELETE FROM orders WHERE id = %s", (order_id,))

        self.link.run(work)
        self.counts.add("order_items", "deleted", items)
        self.counts.add("orders", "deleted")

    def move_customer(self, customer_id: int, city: str) -> None:
        self.link.run(
            lambda c: c.execute("UPDATE customers SET city = %s, updated_at = now() WHERE id = %s", (city, customer_id))
        )
        self.counts.add("customers", "updated")

    def move_restaurant(self, restaurant_id: int, city: str) -> None:
        self.link.run(
            lambda c: c.execute(
                "UPDATE restaurants SET city = %s, updated_at = now() WHERE id = %s", (city, restaurant_id)
            )
        )
        self.counts.add("restaurants", "updated")

    def load(self, orders: list[tuple], items: list[tuple]) -> None:
        """Past orders and their items in one transaction."""

        def work(connection: psycopg.Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                _copy(
                    cursor,
                    "COPY orders (id, customer_id, restaurant_id, status, total, refunded, placed_at, updated_at)"
                    " FROM STDIN",
                    orders,
                )
                _copy(cursor, "COPY order_items (id, order_id, dish, quantity, price) FROM STDIN", items)

        self.link.run(work, self._is_there("orders", orders[0][0]))
        self.counts.add("orders", "inserted", len(orders))
        self.counts.add("order_items", "inserted", len(items))

    def any(self) -> bool:
        """Whether an order was ever written."""
        return bool(self.link.run(lambda c: c.execute("SELECT EXISTS (SELECT FROM orders)").fetchone())[0])  # type: ignore[index]

    def is_there(self, order_id: int) -> bool:
        return bool(self.link.run(self._is_there("orders", order_id)))

    def close(self) -> None:
        self.link.close()
        self._ids.close()

    def _link(self, address: str) -> Link:
        broken = (psycopg.OperationalError, psycopg.InterfaceError)
        return Link("the orders database", lambda: psycopg.connect(address, autocommit=True, connect_timeout=5), broken)

    def _insert(self, connection: psycopg.Connection, order: Order, status: str) -> None:
        if order.newcomer:
            values = (order.customer_id, world.customer_name(order.customer_id), world.city_of(order.customer_id))
            connection.execute("INSERT INTO customers (id, name, city) VALUES (%s, %s, %s)", values)
        connection.execute(_PLACE, (order.id, order.customer_id, order.restaurant.id, status, order.total))
        for item in order.items:
            connection.execute(_ITEM, (item.id, order.id, item.dish, item.quantity, item.price))

    def _is_there(self, table: str, id: int) -> Callable[[Any], bool]:
        return lambda c: c.execute(f"SELECT 1 FROM {table} WHERE id = %s", (id,)).fetchone() is not None

    def _says(self, query: str, id: int, value: object) -> Callable[[Any], bool]:
        return lambda c: c.execute(query, (id,)).fetchone() == (value,)


def _copy(cursor: psycopg.Cursor, statement: str, rows: list[tuple]) -> None:
    with cursor.copy(statement) as copy:  # type: ignore[arg-type]
        for row in rows:
            copy.write_row(row)


def _prepare(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(7)")  # two runs started at once must not both create
        connection.execute(ORDERS)
        if connection.execute("SELECT EXISTS (SELECT FROM customers)").fetchone() == (True,):
            return
        with connection.cursor() as cursor:
            _copy(
                cursor, "COPY restaurants (id, name, city, cuisine) FROM STDIN", [tuple(r) for r in world.restaurants()]
            )
            rows = [(n, world.customer_name(n), world.city_of(n)) for n in range(1, world.CUSTOMERS + 1)]
            _copy(cursor, "COPY customers (id, name, city) FROM STDIN", rows)
        connection.execute("SELECT setval(pg_get_serial_sequence('customers', 'id'), %s)", (world.CUSTOMERS,))


def past(order: Order, status: str, total: Decimal, refunded: Decimal, updated_at: datetime) -> tuple:
    """A row of `load`."""
    return (order.id, order.customer_id, order.restaurant.id, status, total, refunded, order.at, updated_at)
