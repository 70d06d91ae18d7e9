"""The review site: Cassandra, a partition per restaurant. A guest may write a review anew, and take it back."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cassandra import DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable

from demo.counts import Counts
from demo.link import Link
from demo.schema import REVIEWS

LIMIT = 60.0  # seconds, after which a statement is given up
_WRITE = """INSERT INTO reviews.restaurant_reviews (restaurant_id, order_id, food, delivery, text, written_at)
  VALUES (%s, %s, %s, %s, %s, %s)"""
_REMOVE = "DELETE FROM reviews.restaurant_reviews WHERE restaurant_id = %s AND order_id = %s"


class Review(NamedTuple):
    restaurant_id: int
    order_id: int
    food: int
    delivery: int
    text: str | None
    written_at: datetime


class Reviews:
    """Writes reviews. Every statement may be repeated: it sets a row to what it shall be."""

    def __init__(self, address: str, counts: Counts) -> None:
        self.link = Link(
            "the review site's Cassandra", lambda: _Node(address), (NoHostAvailable, DriverException), LIMIT
        )
        self.counts = counts

    def prepare(self) -> None:
        self.link.run(lambda node: node.execute(REVIEWS))

    def write(self, restaurant_id: int, order_id: int, food: int, delivery: int, text: str | None) -> None:
        values = (restaurant_id, order_id, food, delivery, text, datetime.now(UTC))
        self.link.run(lambda node: node.execute(_WRITE, values))
        self.counts.add("restaurant_reviews", "written")

    def remove(self, restaurant_id: int, order_id: int) -> None:
        self.link.run(lambda node: node.execute(_REMOVE, (restaurant_id, order_id)))
        self.counts.add("restaurant_reviews", "deleted")

    def load(self, reviews: Iterable[Review]) -> None:
        """Reviews of past orders."""
        for review in reviews:
            self.link.run(lambda node, review=review: node.execute(_WRITE, tuple(review)))
            self.counts.add("restaurant_reviews", "written")

    def close(self) -> None:
        self.link.close()


class _Node:
    """A session, and what ends it."""

    def __init__(self, address: str) -> None:
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # Link says what is wrong
        parts = urlsplit(address)
        self.cluster = Cluster(
            [parts.hostname or "localhost"],
            parts.port or 9042,
            auth_provider=PlainTextAuthProvider(unquote(parts.username or ""), unquote(parts.password or "")),
            protocol_version=5,
            executor_threads=1,
            connect_timeout=10,
            schema_metadata_enabled=False,
            token_metadata_enabled=False,
        )
        try:
            self.session = self.cluster.connect()
        except BaseException:
            self.cluster.shutdown()
            raise

    def execute(self, statement: str, values: tuple[Any, ...] | None = None) -> None:
        self.session.execute(statement, values, timeout=30)

    def close(self) -> None:
        self.cluster.shutdown()
