"""The loyalty programme: rows that are pulled by their `updated_at`, so this service lets it only grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pymysql

from demo.counts import Counts
from demo.link import Link
from demo.payments import BROKEN, connect, execute
from demo.schema import LOYALTY

# Points count once: the same update again finds a row that is already as new.
_EARN = """INSERT INTO loyalty_accounts (account_id, tier, points, updated_at) VALUES (%s, 'bronze', %s, %s)
  ON DUPLICATE KEY UPDATE points = IF(updated_at < VALUE(updated_at), points + VALUE(points), points),
  tier = IF(points >= 500, 'gold', IF(points >= 150, 'silver', 'bronze')),
  updated_at = GREATEST(updated_at, VALUE(updated_at))"""


class Loyalty:
    """Adds points. One connection writes all rows, each commit newer than the one before."""

    def __init__(self, address: str, counts: Counts) -> None:
        self.link = Link("the loyalty database", lambda: connect(address), BROKEN)
        self.counts = counts
        self._last = datetime(2000, 1, 1, tzinfo=UTC)

    def prepare(self) -> None:
        for statement in LOYALTY:
            self.link.run(execute(statement))

    def earn(self, account_id: int, points: int, order_id: int) -> None:
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        self.link.run(execute(_EARN, account_id, points, self._last.replace(tzinfo=None)))
        self.counts.add("loyalty_accounts", "upserted")

    def close(self) -> None:
        self.link.close()

    def load(self, points: dict[int, tuple[int, datetime]]) -> None:
        """The points of past orders, with when the last of them were earned; accounts that are there already stay."""

        def work(connection: pymysql.Connection) -> None:
            with connection.cursor() as cursor:
                cursor.execute("START TRANSACTION")
                query = (
                    "INSERT IGNORE INTO loyalty_accounts (account_id, tier, points, updated_at) VALUES (%s, %s, %s, %s)"
                )
                cursor.executemany(query, [(a, tier(p), p, at.replace(tzinfo=None)) for a, (p, at) in points.items()])
                cursor.execute("COMMIT")

        self.link.run(work)
        self.counts.add("loyalty_accounts", "inserted", len(points))


def tier(points: int) -> str:
    """The tier that so many points make."""
    return "gold" if points >= 500 else "silver" if points >= 150 else "bronze"
