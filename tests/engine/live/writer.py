"""A service at work: a load of a thousand changes a second, and a few rows whose every state is known.

Each row of `Known` is the only one of two shops, between which it moves. All changes of a row come through one
partition, so what a reader sees of a shop can only move forward through the shop's states.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import psycopg

from headrace.project import Project
from headrace.serve.database import connect

FIRST = 1_000_000  # number of the first known row, and of its first shop
SHOPS = 500  # those of the load
PACE = 0.01  # seconds between two questions of a reader
PAUSE = 0.02  # seconds between two known states, so that many of them are seen by themselves
INSERTED, UPDATED = 35, 15  # rows of a transaction of the load
State = tuple[Any, ...]  # n, total, voids, ids; () where there is no row
GONE: State = ()


class Service(ABC):
    """Something that writes in a thread of its own until the block ends; what it failed with is raised there."""

    def __init__(self, address: str, table: str) -> None:
        self.address, self.table = address, table
        self.stop, self.lock = Event(), Lock()
        self._error: BaseException | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = Thread(target=self._run, name=type(self).__name__)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()
            if self._error:
                raise self._error

    def _run(self) -> None:
        try:
            with psycopg.connect(self.address, autocommit=True) as connection:
                self.write(connection)
        except BaseException as error:
            self._error = error

    @abstractmethod
    def write(self, connection: psycopg.Connection) -> None:
        """Writes until `stop` is set."""


class Load(Service):
    """Inserts rows and changes amounts of old ones at an even rate; `begun` is how many inserts may be visible."""

    def __init__(self, address: str, table: str, rate: float) -> None:
        super().__init__(address, table)
        self.rate, self.begun, self.changes, self.seconds = rate, 0, 0, 0.0

    def write(self, connection: psycopg.Connection) -> None:
        chance, began = Random(1), time.monotonic()
        insert = f"INSERT INTO {self.table} (id, shop, kind, amount) VALUES (%s, %s, %s, %s)"
        update = f"UPDATE {self.table} SET amount = %s WHERE id = %s"
        while not self.stop.wait(max(0.0, began + self.changes / self.rate - time.monotonic())):
            new = range(self.begun + 1, self.begun + INSERTED + 1)
            rows = [(n, chance.randrange(SHOPS), chance.choice("ab"), _amount(chance)) for n in new]
            old = [(_amount(chance), chance.randrange(self.begun) + 1) for _ in range(UPDATED)] if self.begun else []
            self.begun += INSERTED
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(update, old)  # type: ignore[arg-type]
                cursor.executemany(insert, rows)  # type: ignore[arg-type]
            self.changes += len(rows) + len(old)
            self.seconds = time.monotonic() - began


class Known(Service):
    """Changes its rows; `states` has what its shops go through, each noted before it can be seen."""

    insert = "INSERT INTO {} (amount, shop, kind, id) VALUES (%s, %s, %s, %s)"
    update = "UPDATE {} SET amount = %s, shop = %s, kind = %s WHERE id = %s"
    delete = "DELETE FROM {} WHERE id = %s"
    kinds = ("a", "b", "void")

    def __init__(self, address: str, table: str, rows: int = 4) -> None:
        super().__init__(address, table)
        self.shops = range(FIRST, FIRST + 2 * rows)
        self.states: dict[int, list[State]] = {shop: [GONE] for shop in self.shops}
        self.transactions = 0

    def state(self, amount: Decimal, kind: str) -> State:
        """What the view shows of a shop whose one row is this."""
        return (1, amount, int(kind == "void"), 1)

    def begun(self) -> dict[int, int]:
        """How many states of each shop may be visible to who asked before."""
        with self.lock:
            return {shop: len(states) for shop, states in self.states.items()}

    def write(self, connection: psycopg.Connection) -> None:
        chance = Random(2)
        while not self.stop.wait(PAUSE):
            self._change(connection, chance, chance.choice(self.shops[::2]))

    def wrong(self, answers: list[tuple[dict[int, int], list[Any]]]) -> str:
        """'' when every shop goes forward through its states; else what does not. Rows begin with the shop."""
        for shop, states in self.states.items():
            seen = [(begun[shop], {s: tuple(values) for s, *values in rows}.get(shop, GONE)) for begun, rows in answers]
            if found := first_wrong(states, seen):
                return f"shop {shop}: {found}"
        return ""

    def _change(self, connection: psycopg.Connection, chance: Random, row: int) -> None:
        """One transaction on a row, whose number is that of its first shop. Each has an amount that never was."""
        self.transactions += 1
        amount, kind = Decimal(self.transactions).scaleb(-2), chance.choice(self.kinds)
        shop = next((s for s in (row, row + 1) if self.states[s][-1]), None)
        does = "insert" if shop is None else chance.choice(("change", "change", "change", "move", "delete"))
        at = {"insert": row, "move": row + (shop == row)}.get(does, shop or row)
        new = {} if shop is None else {shop: GONE}
        new |= {} if does == "delete" else {at: self.state(amount, kind)}
        with self.lock:
            for place, state in new.items():
                self.states[place].append(state)
        if does == "delete":
            connection.execute(self.delete.format(self.table), (row,))  # type: ignore[arg-type]
        else:
            statement = self.insert if does == "insert" else self.update
            connection.execute(statement.format(self.table), (amount, at, kind, row))  # type: ignore[arg-type]


@contextmanager
def asked(project: Project, query: str, after: Callable[[], Any]) -> Iterator[list[tuple[Any, list[Any]]]]:
    """Asks the query again and again while the block runs; yields the list of its answers: what `after` said as soon as
    the rows were there, and the rows. Raises in the end what a question failed with."""
    found: list[tuple[Any, list[Any]]] = []
    errors: list[BaseException] = []
    stop = Event()

    def ask() -> None:
        try:
            with connect(project, "reader") as connection:
                while not stop.wait(PACE):
                    rows = connection.execute(query).fetchall()  # type: ignore[arg-type]
                    found.append((after(), rows))
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
    assert not errors, errors


def first_wrong(states: list[State], seen: list[tuple[int, State]]) -> str:
    """'' when what a reader saw of a shop goes forward through its states; else what does not.

    `seen` are pairs of how many states there were after the answer, and the answer.
    """
    at = 0
    for number, (begun, state) in enumerate(seen):
        found = next((n for n in range(at, min(begun, len(states))) if states[n] == state), None)
        if found is None:
            return f"answer {number} of {len(seen)} is {state}, states from there on: {states[at:begun][:9]}"
        at = found
    return ""


def _amount(chance: Random) -> Decimal:
    return Decimal(chance.randrange(-10_000, 100_000)).scaleb(-2)
