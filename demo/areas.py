"""The delivery planning: a graph in Neo4j of which restaurant delivers to which area, for what fee and how fast."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from demo import world
from demo.counts import Counts
from demo.link import Link
from demo.schema import AREAS

LIMIT = 60.0  # seconds, after which a statement is given up
_PREPARE = """UNWIND $rows AS row MERGE (a:Area {id: row.id}) SET a.name = row.name, a.city = row.city"""
_RESTAURANTS = "UNWIND $rows AS row MERGE (:Restaurant {id: row.id})"
_DELIVER = """UNWIND $rows AS row MATCH (r:Restaurant {id: row.restaurant_id}), (a:Area {id: row.area_id})
MERGE (r)-[d:DELIVERS_TO]->(a) SET d.fee = row.fee, d.minutes = row.minutes, d.updated_at = row.updated_at"""
_PLANNED = "MATCH ()-[d:DELIVERS_TO]->() RETURN count(d) AS number"


class Way(NamedTuple):
    """A restaurant delivers to an area. A graph has no decimals, so the fee is a double."""

    restaurant_id: int
    area_id: int
    fee: float
    minutes: int
    updated_at: datetime


class Areas:
    """Plans deliveries. Every statement may be repeated: it sets the graph to what it shall be."""

    def __init__(self, address: str, counts: Counts) -> None:
        self.link = Link("the graph of delivery areas", lambda: _open(address), (DriverError, Neo4jError), LIMIT)
        self.counts = counts

    def prepare(self) -> None:
        """Areas, restaurants, and where each delivers at first, unless that is there."""
        for constraint in AREAS:
            self.link.run(lambda driver, query=constraint: driver.execute_query(query))
        self._run(_PREPARE, (area._asdict() for area in world.areas()))
        self._run(_RESTAURANTS, ({"id": restaurant.id} for restaurant in world.restaurants()))
        if not self.link.run(lambda driver: driver.execute_query(_PLANNED).records[0]["number"]):
            now = datetime.now(UTC)
            self.load(
                Way(restaurant.id, area.id, world.fee(restaurant.id, area.id), 20 + area.id % 10 * 5, now)
                for restaurant in world.restaurants()
                for area in world.areas()
                if area.city == restaurant.city and (area.id + restaurant.id) % 2
            )

    def deliver(self, restaurant_id: int, area_id: int, fee: float, minutes: int) -> None:
        """The restaurant delivers there from now on, or for another fee."""
        self.load([Way(restaurant_id, area_id, fee, minutes, datetime.now(UTC))])

    def load(self, ways: Iterable[Way]) -> None:
        rows = [way._asdict() for way in ways]
        self._run(_DELIVER, rows)
        self.counts.add("delivers_to", "merged", len(rows))

    def close(self) -> None:
        self.link.close()

    def _run(self, query: str, rows: Iterable[dict[str, Any]]) -> None:
        values = {"rows": list(rows)}
        self.link.run(lambda driver: driver.execute_query(query, values))


def _open(address: str) -> Any:
    logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # Link says what is wrong
    parts = urlsplit(address)
    auth = (unquote(parts.username or ""), unquote(parts.password or ""))
    return GraphDatabase.driver(f"bolt://{parts.hostname}:{parts.port}", auth=auth, connection_timeout=5)
