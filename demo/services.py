"""All services of the company, at the addresses that a Headrace project names."""

from __future__ import annotations

from datetime import datetime, timedelta

from demo.counts import Counts
from demo.events import Events
from demo.ledger import Ledger
from demo.loyalty import Loyalty
from demo.orders import Orders
from demo.payments import Payments
from demo.prices import Prices
from headrace.ingest import topics
from headrace.project import Project

TABLES = ("trips", "deliveries", "ratings", "courier_pings")


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
        self.prices = Prices(project.root / project.source("prices").path, self.counts)
        ledger = Ledger(project.state / "demo" / "ledger.jsonl")
        self.events = Events(project.addresses.bus, {t: project.table(t).topic for t in TABLES}, ledger, self.counts)

    def prepare(self) -> None:
        for service in (self.orders, self.payments, self.loyalty):
            service.prepare()

    def prepare_prices(self, now: datetime, days: int) -> None:
        """One list per day, in the early morning."""
        for back in range(days, -1, -1):
            self.prices.publish((now - timedelta(days=back)).replace(hour=0, minute=30, second=0, microsecond=0))

    def close(self) -> None:
        for service in (self.events, self.orders, self.payments, self.loyalty):
            service.close()
