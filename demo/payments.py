"""The payments service: MariaDB, statement by statement. A payment's id is its order's id and the attempt's number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from demo.counts import Counts
from demo.link import Link
from demo.schema import PAYMENTS

_CAPTURE = """UPDATE payments SET status = 'captured', amount = %s, updated_at = NOW(6)
  WHERE id = %s AND status = 'authorised'"""
_PAST_PAYMENT = """INSERT IGNORE INTO payments
  (id, order_id, account_id, amount, method, status, created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_PAST_REFUND = """INSERT IGNORE INTO refunds (id, payment_id, order_id, amount, reason, created_at)
  VALUES (%s, %s, %s, %s, %s, %s)"""
BROKEN = (pymysql.err.OperationalError, pymysql.err.InterfaceError)


def connect(address: str) -> pymysql.Connection:
    """A connection in UTC that commits each statement; `address` is mariadb://user:password@host:port/database."""
    parts = urlsplit(address)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=parts.path.lstrip("/") or None,
        autocommit=True,
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
        connect_timeout=5,
        read_timeout=60,
        write_timeout=60,
    )


class Payments:
    """Writes payments and refunds; a statement is repeated after a lost connection only if it didn't commit."""

    def __init__(self, address: str, counts: Counts) -> None:
        self.link = Link("the payments database", lambda: connect(address), BROKEN)
        self.counts = counts

    def prepare(self) -> None:
        for statement in PAYMENTS:
            self.link.run(execute(statement))

    def pay(self, payment_id: int, order_id: int, account_id: int, amount: Decimal, method: str, status: str) -> None:
        query = (
            "INSERT INTO payments (id, order_id, account_id, amount, method, status) VALUES (%s, %s, %s, %s, %s, %s)"
        )
        self.link.run(
            execute(query, payment_id, order_id, account_id, amount, method, status), found("payments", payment_id)
        )
        self.counts.add("payments", "inserted")

    def capture(self, payment_id: int, amount: Decimal) -> None:
        """Takes the money; the amount may have changed since it was authorised."""
        self.link.run(execute(_CAPTURE, amount, payment_id))
        self.counts.add("payments", "updated")

    def refund(self, payment_id: int, order_id: int, amount: Decimal, reason: str | None) -> None:
        query = "INSERT INTO refunds (id, payment_id, order_id, amount, reason) VALUES (%s, %s, %s, %s, %s)"
        self.link.run(execute(query, payment_id, payment_id, order_id, amount, reason), found("refunds", payment_id))
        self.counts.add("refunds", "inserted")

    def remove_refund(self, payment_id: int) -> None:
        self.link.run(execute("DELETE FROM refunds WHERE id = %s", payment_id))
        self.counts.add("refunds", "deleted")

    def close(self) -> None:
        self.link.close()

    def load(self, payments: list[tuple], refunds: list[tuple]) -> None:
        """Past payments and refunds in one transaction; those that are there already stay."""

        def work(connection: pymysql.Connection) -> None:
            with connection.cursor() as cursor:
                cursor.execute("START TRANSACTION")
                cursor.executemany(_PAST_PAYMENT, payments)
                cursor.executemany(_PAST_REFUND, refunds)
                cursor.execute("COMMIT")

        self.link.run(work)
        self.counts.add("payments", "inserted", len(payments))
        self.counts.add("refunds", "inserted", len(refunds))


def execute(query: str, *values: object) -> Callable[[Any], None]:
    """Work that runs one statement."""

    def work(connection: pymysql.Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute(query, values or None)

    return work


def found(table: str, id: int) -> Callable[[Any], bool]:
    """Asks whether a row is there."""

    def ask(connection: pymysql.Connection) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE id = %s", (id,))
            return cursor.fetchone() is not None

    return ask
