"""All services of the company, at the addresses that a Headrace project names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta

from demo.areas import Areas
from demo.counts import Counts
from demo.events import Events
from demo.ledger import Ledger
from demo.loyalty import Loyalty
from demo.orders import Orders
from demo.partner import Partner
from demo.payments import Payments
from demo.prices import Prices
from demo.reviews import Reviews
from headrace.ingest import topics
from headrace.project import Project

TABLES = ("trips", "deliveries", "ratings", "courier_pings")
# Their databases start late, so a generator does not wait for them: each prepares its own as its first work.
LATE = ("reviews", "areas")


class Services:
    """One of each. `prepare` creates tables and topics that are missing."""

    def __init__(self, project: Project) -> None:
        address = project.addresses.source
        self.project = project
        self.counts = Counts()
        topics.ensure(project)
        self.orders = Orders(address(project.source("orders")), self.counts)
        self.payments = Payments(address(project.source("payments")), self.counts)
        self.loyalty = Loyalty(address(project.source("loyalty")), self.counts)
        self.reviews = Reviews(address(project.source("reviews")), self.counts)
        self.areas = Areas(address(project.source("areas")), self.counts)
        self.partner = Partner(project.state / "demo" / "partner.sqlite", self.counts)
        self.prices = Prices(project.root / project.source("prices").path, self.counts)
        ledger = Ledger(project.state / "demo" / "ledger.jsonl")
        self.events = Events(project.addresses.bus, {t: project.table(t).topic for t in TABLES}, ledger, self.counts)

    def prepare(self, late: bool) -> None:
        """Makes the tables of those whose databases are there early, or of those that are `late`."""
        early = (self.orders, self.payments, self.loyalty, self.partner)
        for service in (getattr(self, name) for name in LATE) if late else early:
            service.prepare()

    @staticmethod
    def there() -> Iterator[bool]:
        """For which services it is time: False for the early ones, True for the late ones; for all by default."""
        named = os.environ.get("HEADRACE_SOURCES")
        names = LATE if named is None else named.split()
        if named is None or set(names) - set(LATE):
            yield False
        if set(names) & set(LATE):
            yield True

    def prepare_prices(self, now: datetime, days: int) -> None:
        """One list per day, in the early morning."""
        for back in range(days, -1, -1):
            self.prices.publish((now - timedelta(days=back)).replace(hour=0, minute=30, second=0, microsecond=0))

    def close(self) -> None:
        for service in (
            self.events, self.orders, self.payments, self.loyalty, self.reviews, self.areas, self.partner
        ):  # fmt: skip
            service.close()
