"""Services, platform and readers around the layers: what happens in a history, and the check that follows each step."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from headrace.project.contract import Column
from headrace.sql.live.parse import compile_live
from headrace.sql.live.tree import APPENDED, Table, View
from tests.unit.sql.live import reference
from tests.unit.sql.live.layers import MARGIN, Batch, Bus, Record, Serving, Speed, present
from tests.unit.sql.live.reference import Dimensions, Row

_COLUMNS = (
    Column("id", "integer", required=True, key=True),
    Column("place", "integer"),
    Column("status", "string"),
    Column("amount", "number", precision=10, scale=2),
)
TABLES = {
    "sales": Table("sales", _COLUMNS, ("id",)),
    "events": Table("events", _COLUMNS, (), APPENDED),
    "places": Table("places", (Column("id", "integer", required=True, key=True), Column("city", "string")), ("id",)),
}


def view_of(query: str) -> View:
    found = compile_live("v", query, TABLES)
    assert found.view is not None, found.mistakes
    return found.view


class World:
    """A history as it happens. `without` names rules that are left out."""

    def __init__(self, view: View, without: frozenset[str] = frozenset()) -> None:
        self.view, self.without = view, without
        self.bus, self.serving = Bus(), Serving(without)
        self.speed, self.batch = Speed(view, self.bus, self.serving), Batch(view, self.bus, self.serving)
        self.clock, self.behind = 100, [0] * 8  # ticks, and by how many each partition's broker is behind
        self.position, self.epoch, self.transactions = 0, 0, 0
        self.rows: dict[int, tuple[Row, bool]] = {}  # key → the source's row, and whether it keeps the contract
        self.dimensions = Dimensions({"p": {(1,): {"id": 1, "city": "Bern"}, (2,): {"id": 2, "city": "Thun"}}})
        self.is_running, self.is_frozen, self.baseline = True, False, 0
        self.first: dict[int, int] = {}
        self.known: list[str] | None = None  # what readers saw last

    # What services do.

    def change(self, key: int, row: Row | None, good: bool = True, hidden: bool = False) -> None:
        """Writes or removes a row; one that is not `good` breaks its contract. `hidden`: in a transaction left open."""
        old, was_good = self.rows.get(key, (None, False))
        op = "d" if row is None else "c" if old is None else "u"
        if row is None:
            del self.rows[key]
        else:
            row = {"id": key, "place": 1, "status": "open", "amount": None, **row}
            self.rows[key] = (row, good)
        self.send(op, key, old if was_good else None, row if good else None, hidden)

    def send(self, op: str, key: int, before: Row | None, after: Row | None, hidden: bool) -> None:
        partition = key % len(self.bus.partitions)
        self.position += 1
        if hidden and not self.bus.open:
            self.transactions += 1
            self.bus.open.add(self.transactions)
        transaction = max(self.bus.open, default=0)  # a connector has one transaction at a time: all is in it
        record = Record(op, self.now(partition), before, after, transaction, self.position, self.epoch)
        self.bus.partitions[partition].append(record)
        self.catch_up()

    def now(self, partition: int) -> int:
        return self.clock - self.behind[partition]

    def commit(self) -> None:
        self.bus.open.clear()
        self.catch_up()

    def abort(self) -> None:
        """The connector is killed: its transaction leaves holes, and what was in it comes again."""
        for partition, record in self.bus.abort(max(self.bus.open)):
            record.at, record.transaction = self.now(partition), 0
            self.bus.partitions[partition].append(record)
        self.catch_up()

    def snapshot(self, lost: bool) -> None:
        """A new epoch: every row again, and with `lost` a deletion of which no record ever came."""
        self.epoch += 1
        if lost and self.rows:
            del self.rows[min(self.rows)]
        self.is_frozen = "snapshot" not in self.without
        for key, (row, good) in sorted(self.rows.items()):
            self.send("r", key, None, row if good else None, False)
        self.baseline = max([r.chunk for log in self.bus.partitions for r in log if r], default=0) + 1 + MARGIN

    # What the platform does.

    def mark(self) -> None:
        for partition, log in enumerate(self.bus.partitions):
            log.append(Record("m", self.now(partition)))

    def land(self) -> None:
        for partition in range(len(self.bus.partitions)):
            self.batch.land(partition)

    def compute(self, back: int = 0, full: bool = False) -> tuple[Any, int, int] | None:
        """A batch run up to the greatest legal cut less `back`; None when it has to wait."""
        cut = max(self.batch.legal() - back, self.batch.cut)
        if self.is_frozen and cut < self.baseline:
            return None  # a snapshot has come and is not covered yet: the old pair stays
        assert not self.batch.violations(), "a record came below the cut"
        full = full or self.is_frozen or self.serving.cut is None
        self.batch.run(cut, full, self.epoch if full else 0)
        self.first = self.batch.first()
        return self.batch.result()

    def publish(self, result: tuple[Any, int, int] | None, grace: int = 0) -> None:
        if result is None:
            return
        for _ in self.batch.switch(result):
            self.is_frozen = False
            self.check()
        self.batch.clear(grace, self.clock)
        self.catch_up()

    def run(self, back: int = 0, full: bool = False, grace: int = 0) -> None:
        self.publish(self.compute(back, full), grace)

    def crash(self) -> None:
        """The job goes back to its checkpoint and writes again what it wrote since."""
        again = self.is_running and not self.speed.pending()
        self.speed.restore()
        self.is_running = True
        self.catch_up(again)

    def restart(self) -> None:
        """The job begins anew at the cut, without state."""
        self.speed.from_cut(self.batch.cut, self.first)
        self.is_running = True
        self.catch_up()

    # What readers see.

    def catch_up(self, again: bool = False) -> None:
        """The speed layer reads all that it can. Where that is one change, or `again` what it had read before, a reader
        sees at each write the rows of before or of after."""
        if not self.is_running:
            return
        seen, expected = set(self.known or ()), set(self.expected())
        is_simple = self.known is not None and (again or self.speed.pending() == 1)
        # A group may lack a row for a moment, or have it twice, where it is made of partials (decision 32).
        is_simple = is_simple and self.view.grouped and not self.view.dimensions and not self.view.distinct
        for _ in self.speed.steps():
            if self.serving.lost:
                self.serving.lost = False
                self.restart()
                return
            if is_simple and self.is_checked:
                assert set(self.shown()) <= seen | expected, "a reader saw what never was"
        self.check()

    @property
    def is_checked(self) -> bool:
        return self.serving.cut is not None and not self.is_frozen and self.is_running

    def shown(self) -> list[str]:
        hidden = "hidden" not in self.without
        return _sorted(reference.shown(self.view, self.serving.layers(), self.dimensions, hidden))

    def expected(self) -> list[str]:
        logs = range(len(self.bus.partitions))
        accepted = [r for p in logs for _, r in self.bus.visible(p) if r.epoch >= self.epoch]
        return _sorted(plain(self.view, present(accepted), self.dimensions))

    def check(self) -> None:
        self.known = None
        if self.is_checked:
            self.known = self.shown()
            assert self.known == self.expected()


def plain(view: View, rows: list[Row], dimensions: Dimensions) -> list[Row]:
    """The query over rows that are there, as SQL says: groups of rows first, then aggregates over their values."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        leaf = reference.column(row)
        if view.filter is not None and reference.evaluate(view.filter, leaf) is not True:
            continue
        key = tuple(reference.evaluate(k.node, leaf) for k in view.keys)
        joined = reference.joined(view, key, dimensions)
        if joined is None or (view.condition and reference.evaluate(view.condition, joined) is not True):
            continue
        groups.setdefault(tuple(reference.evaluate(g, joined) for g in view.groups), []).append(row)
    if not view.grouped:
        groups.setdefault((), [])
    found = []
    for group, members in groups.items():
        leaf = _aggregates(view, group, members)
        if view.having is None or reference.evaluate(view.having, leaf) is True:
            found.append({o.name: reference.evaluate(o.node, leaf) for o in view.outputs})
    return found


def _aggregates(view: View, group: tuple[Any, ...], members: list[Row]):
    nodes = {m.name: m.node for m in view.measures}

    def values(measure: str) -> list[Any]:
        found = [reference.evaluate(nodes[measure], reference.column(row)) for row in members]
        return [v for v in found if v is not None]

    def leaf(node) -> Any:
        if node.op == "group":
            return group[int(node.value[1:]) - 1]
        if node.op == "rows":
            return len(members)
        if node.op == "distinct":
            apart = next(k.node for k in view.keys if k.name == view.distinct)
            return len({v for row in members if (v := reference.evaluate(apart, reference.column(row))) is not None})
        if node.op == "count":
            return len(values(node.value))
        there = values(node.value if isinstance(node.value, str) else node.value[0])
        if not there:
            return None
        if node.op in {"min", "max"}:
            return (min if node.op == "min" else max)(there)
        return sum(there) if node.op == "sum" else reference.mean(node, sum(there), len(there))

    return leaf


def _sorted(rows: list[Row]) -> list[str]:
    return sorted(repr({k: v.normalize() if isinstance(v, Decimal) else v for k, v in r.items()}) for r in rows)
