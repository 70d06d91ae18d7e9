"""Current and history tables, case by case and in any order: what the AutoCDC suites of Spark ask of SCD1 and SCD2, and
what Headrace's own log brings besides (truncates, snapshots, keys that move)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import permutations, product
from typing import Any

import pytest

from headrace.batch.current import Current, refresh
from headrace.batch.history import history
from headrace.batch.inputs import latest
from headrace.batch.session import session
from headrace.lake import paths
from headrace.project import Project, load
from headrace.serve import schema

from .conftest import START, contract, project_files
from .plain import State, unsound, walk

COLUMNS = "kind string key;id integer key;n integer;note string"
KEY = ("kind", "id")
SEEDS = (1,)
FLOORS_BY_CHANCE = ("t@5", "m@13", "t@21/2", "m@29", "m@7/2")
SECONDS = 10  # of event time between two positions; what is in order is appended a second after its event
Change = dict[str, Any]


def change(text: str, kind: str, id: int = 1, **more: Any) -> Change:
    """A change from a word such as `u7@3`: op, value, position; `u7@3/2` is of epoch 2, the value of `c_@1` is NULL."""
    what, _, place = text.partition("@")
    position, _, epoch = place.partition("/")
    key = {"kind": kind, "id": id}
    image = key | {"n": None if what[1:] in ("", "_") else int(what[1:]), "note": None}
    images = {"d": {"before": image}, "t": {}, "m": {}}.get(what[0], {"after": image})
    made: Change = {
        "op": what[0],
        "partition": id % 2,
        "position": f"{int(position):09d}",
        "epoch": int(epoch or 1),
        **images,
    }
    made["event_time"] = START + timedelta(seconds=SECONDS * (int(position) + 100 * made["epoch"]))
    return made | ({} if what[0] in "tm" else {"key": key}) | more


@dataclass
class Table:
    """A table of a project, all that landed in it, and Headrace's answer to that."""

    project: Project
    name: str
    land: Any
    landed: list[Change] = field(default_factory=list)
    last: int = 0

    def arrive(self, changes: list[Change]) -> Table:
        """Lands changes: each is appended a second after its event, or as soon as what came before it."""
        for one in changes:
            self.last = max(self.last, int((one["event_time"] - START).total_seconds()) + 1)
            self.landed.append({"at": self.last} | one)
        if changes:
            self.land(self.project, self.name, self.landed[-len(changes) :])
        return self

    def fold(self) -> Current:
        return refresh(self.project, self.project.table(self.name), lambda: session(self.project))

    def right(self, current: Current) -> list[State]:
        """The history, once it and the current table are what a plain walk says, and sound."""
        columns, path = current.table.contract, paths.landing(self.project, self.name)
        spark = session(self.project)
        assert current.version is not None
        rows = [r.asDict() for r in spark.sql(latest(columns, current.path, current.version)).collect()]
        utc = "unix_micros(valid_from) AS valid_from, unix_micros(valid_to) AS valid_to"
        told = spark.sql(f"SELECT * EXCEPT (valid_from, valid_to), {utc} FROM ({history(columns, current, path)})")
        found = [state(r.asDict()) for r in told.collect()]
        spark.stop()
        wanted_rows, wanted = walk(self.landed)
        blank = dict.fromkeys(columns.names)
        assert ordered(rows) == ordered([blank | row for row in wanted_rows])
        assert ordered(found) == ordered([(blank | image, a, b) for image, a, b in wanted])
        assert unsound(found, rows, KEY) == []
        return found


def state(row: dict[str, Any]) -> State:
    moments = [row.pop(name) for name in ("valid_from", "valid_to")]
    begins, ends = (None if m is None else EPOCH + timedelta(microseconds=m) for m in moments)
    assert begins is not None
    return row, begins, ends


EPOCH = START.replace(year=1970)


def ordered(found: list[Any]) -> list[Any]:
    return sorted(found, key=repr)


@pytest.fixture(scope="module")
def project(ground, make_project) -> Project:
    names = ["cases", "cut", "anew", "beside", "again", *(f"chance_{seed}" for seed in SEEDS)]
    made = make_project(project_files({name: contract(name, COLUMNS) for name in names}, {}), on=ground)
    schema.ensure(made)
    return made


# Arrivals, with | between two folds; the value that is there in the end; the values of the history, oldest first.
CASES: dict[str, tuple[str, int | None, list[int | None]]] = {
    "an insert": ("c1@1", 1, [1]),
    "an insert and updates": ("c1@1 u2@2 | u3@3", 3, [1, 2, 3]),
    "the same change twice in one fold": ("c1@1 u2@2 u2@2", 2, [1, 2]),
    "the same change twice in two folds": ("c1@1 u2@2 | u2@2 | u2@2", 2, [1, 2]),
    "an old change once more behind newer ones": ("c1@1 u2@2 | u3@3 | c1@1 u2@2", 3, [1, 2, 3]),
    "a late update below the newest": ("c1@1 u3@3 | u2@2", 3, [1, 2, 3]),
    "a late insert below all": ("u2@2 | u3@3 | c1@1", 3, [1, 2, 3]),
    "a late update inside a closed state": ("c1@1 u5@5 u9@9 | u3@3", 9, [1, 3, 5, 9]),
    "a delete": ("c1@1 | d@2", None, [1]),
    "a delete twice": ("c1@1 | d@2 | d@2", None, [1]),
    "a delete twice, then the row again": ("c1@1 | d@2 d@2 | c3@3", 3, [1, 3]),
    "a stale update after a delete": ("c1@1 | d@3 | u2@2", None, [1, 2]),
    "a stale update after a delete, in one fold": ("c1@1 d@3 u2@2", None, [1, 2]),
    "a late delete below a newer insert": ("c1@1 c3@3 | d@2", 3, [1, 3]),
    "a delete of an unknown key": ("d@2", None, []),
    "a delete of an unknown key, then its late insert": ("d@2 | c1@1", None, [1]),
    "a delete of an unknown key, then a newer insert": ("d@2 | c3@3", 3, [3]),
    "inserted, updated, deleted and inserted again": ("c1@1 u2@2 d@3 c4@4", 4, [1, 2, 4]),
    "deleted and inserted again, in two folds": ("c1@1 | d@2 | c1@3", 1, [1, 1]),
    "deleted and inserted again, the delete late": ("c1@1 | c1@3 | d@2", 1, [1, 1]),
    "an update that changes nothing": ("c1@1 u1@2 | u1@3 | u4@4", 4, [1, 4]),
    "a late change within an unchanged state": ("c1@1 u1@4 u1@6 | u8@8 | u5@5", 8, [1, 5, 1, 8]),
    "a value that is NULL": ("c_@1 | u2@2 | u_@3", None, [None, 2, None]),
    "an update of a key that nobody inserted": ("u2@2 | u3@3", 3, [2, 3]),
    "positions of different length": ("c9@9 u100@100 | u10@10", 100, [9, 10, 100]),
    "a snapshot repeats the state": ("c1@1 | r1@2 | u3@3", 3, [1, 3]),
    "a snapshot row comes late": ("u3@3 | r1@1", 3, [1, 3]),
}
ONCE = {"a value that is NULL"}  # there in the end, as NULL


def arrivals() -> Iterator[tuple[int, Change]]:
    """(fold, change) of every case."""
    for name, (text, _, _) in CASES.items():
        for fold, part in enumerate(text.split("|")):
            yield from ((fold, change(word, name)) for word in part.split())
    # One transaction on several rows: all changes of a key in it are one moment, the last counts; offsets tell.
    for id, words in enumerate(("c1@5 u2@5 u3@5", "c1@5 d@5 c2@5", "c1@5 u2@5 d@5")):
        yield from ((0, change(w, "one transaction", id, transaction_id="0-1-7")) for w in words.split())
    # A key that moves: as a delete and a create of one position, and as an update where the contract has its own key.
    yield 0, change("c1@1", "key moves", 1)
    yield 1, change("d@2", "key moves", 1)
    yield 1, change("c1@2", "key moves", 2)
    yield 2, change("u3@3", "key moves", 2)
    yield 0, change("c1@1", "key is changed", 2)
    yield 1, change("u2@2", "key is changed", 4, before={"kind": "key is changed", "id": 2, "n": 1, "note": None})
    # Event times that do not tell the order: the same for all, or going back.
    for id, seconds in enumerate(((0, 0, 0), (50, 40, 60), (50, 60, 40))):
        for fold, second in enumerate(seconds):
            moment = START + timedelta(seconds=second)
            yield fold, change(f"u{fold}@{fold + 1}", "event times", id, event_time=moment, at=1100 + 5 * fold)
    # Every order of four changes: in one fold, cut behind the first, behind the second, and behind both.
    changes = ("c1@1", "u2@2", "d@3", "c4@4")
    for id, (order, cuts) in enumerate(product(permutations(changes), product((0, 1), repeat=2))):
        for index, word in enumerate(order):
            yield sum(cuts[:index]), change(word, "every order", id)
    # Keys that look alike are different ones.
    for id, text in enumerate(
        ("key", "Key", "KEY", "key ", " key", "key\t", "", "null", "0", "00", "0.0", "ä", "a\u0308")
    ):
        yield 0, change(f"c{id}@1", text, 0)
        yield 1, change(f"u{id + 100}@2", text, 0) if id % 3 else change("d@2", text, 0)


def test_each_case_gives_the_rows_and_the_history_of_a_plain_walk(project, land) -> None:
    table, listed = Table(project, "cases", land), list(arrivals())
    for fold in range(3):
        current = table.arrive([one for number, one in listed if number == fold]).fold()
    told = table.right(current)
    for name, (_, value, values) in CASES.items():
        mine = sorted((s for s in told if s[0]["kind"] == name), key=lambda s: s[1])
        assert [s[0]["n"] for s in mine] == values, name
        open_ = [s[0]["n"] for s in mine if s[2] is None]
        assert open_ == ([value] if value is not None or name in ONCE else []), name
    assert sum(s[0]["kind"] == "every order" for s in told) == 3 * 24 * 4
    assert {s[0]["n"] for s in told if s[0]["kind"] == "one transaction"} == {3, 2}
    # A column that came in between: rows that landed before it have it as they had it, or as NULL.
    late = change("u7@7", "an insert")
    late["after"] |= {"late": "new"}
    table.arrive([late])
    (project.root / "schemas/cases.yaml").write_text(contract("cases", COLUMNS + ";late string"))
    table.project = load(project.root)
    grown = table.right(table.fold())
    assert [(s[0]["n"], s[0]["late"]) for s in grown if s[0]["kind"] == "an insert"] == [(1, None), (7, "new")]
    assert len(grown) == len(told) + 1


def snapshot(epoch: int, position: int, rows: dict[int, int], complete: bool = True) -> list[Change]:
    """What a connector sends when it begins anew: all rows at one position, the last of them marked."""
    sent = [change(f"r{n}@{position}/{epoch}", "row", id, snapshot="true") for id, n in rows.items()]
    if complete:
        sent[-1]["snapshot"] = "last"
    return sent


def row(text: str, id: int, **more: Any) -> Change:
    return change(text, "row", id, **more)


FLOORS: dict[str, list[list[Change]]] = {
    # A truncate between changes of each key: landed before and behind it, below and above it, of either epoch.
    "cut": [
        [row("c1@1", 1), row("c1@2", 2), row("u2@9", 2), row("c1@8", 3), row("c5@5", 4)],
        [change("t@5", "", at=1100), row("c1@3", 5), row("c1@4", 6), row("u2@6", 6, at=1101), row("u2@7", 1, at=1050)],
        [row("u2@4", 1), row("d@4", 3), row("c9@1/2", 7), row("c9@9", 7), row("d@3", 4), row("c3@3", 4)],
    ],
    # A new epoch without some keys; its first attempt was killed; old positions are greater than new ones.
    "anew": [
        [*snapshot(1, 1, {1: 1, 2: 2, 3: 3, 4: 4}), row("u9@90", 2), row("c5@91", 5), row("c8@92", 8)],
        [*snapshot(2, 3, {1: 1, 2: 2, 5: 5}, complete=False), *snapshot(2, 5, {1: 1, 2: 9, 6: 6})],
        [row("u7@99", 3), row("u10@6/2", 2), row("d@7/2", 1), row("c8@8/2", 8), row("c1@9/2", 1)],
    ],
    # One table again beside its stream: rows come behind the position of the request, and say again what is there.
    "beside": [
        [row(f"c{id}@{id}", id) for id in range(1, 7)],
        [
            row("u8@10", 1), row("d@11", 2), row("r3@14", 3, snapshot="incremental"),
            row("r8@14", 1, snapshot="incremental"), row("r9@15", 4, snapshot="incremental"), row("u7@16", 6),
        ],
        [row("r2@13", 9, snapshot="incremental"), change("m@12", "", snapshot="complete"), row("u4@17", 3)],
    ],
    # Truncates and snapshots behind each other; the same rows each time.
    "again": [
        [
            row("c1@1", 1), row("c2@2", 2), change("t@3", "", at=1200), row("c1@4", 1, at=1100), row("c3@4", 3),
            *snapshot(2, 1, {1: 1, 3: 3}), change("t@5/2", ""), row("c1@6/2", 1), change("t@7/2", ""),
        ],
        [*snapshot(3, 1, {1: 1}), row("c2@2/3", 2), row("u4@4", 3), *snapshot(4, 1, {2: 2, 1: 1})],
    ],
}  # fmt: skip


def test_truncates_and_new_snapshots_end_states_and_rows(project, land) -> None:
    def told(name: str) -> list[State]:
        table = Table(project, name, land)
        for part in FLOORS[name]:
            both = [change(f"m@{part[-1]['position']}", "", partition=p) for p in (0, 1)]
            current = table.arrive(part + both).fold()
        return table.right(current)

    with ThreadPoolExecutor(3) as pool:
        found = dict(zip(FLOORS, pool.map(told, FLOORS), strict=True))
    there = {name: {s[0]["id"]: s[0]["n"] for s in states if s[2] is None} for name, states in found.items()}
    assert there == {
        "cut": {1: 2, 2: 2, 3: 1, 4: 5, 6: 2, 7: 9},
        "anew": {1: 1, 2: 10, 6: 6, 8: 8},
        "beside": {1: 8, 3: 4, 4: 9, 6: 7, 9: 2},
        "again": {1: 1, 2: 2},
    }
    # What a snapshot repeats goes on; what a truncate took and somebody inserted again begins again.
    states = {name: [s[0]["n"] for s in mine if s[0]["id"] == 1] for name, mine in found.items()}
    assert states == {"cut": [1, 2, 2], "anew": [1, 1], "beside": [1, 8], "again": [1, 1, 1, 1]}


@pytest.mark.parametrize("seed", SEEDS)
def test_any_changes_in_any_order_of_arrival(project, land, seed) -> None:
    """Some keys with any changes, truncates and snapshots, at any positions, with any times, some of them twice."""
    chance = random.Random(seed)
    changes = [change(text, "", snapshot="complete" if text[0] == "m" else "false") for text in FLOORS_BY_CHANCE]
    changes = [one | {"at": chance.randrange(3000), "partition": chance.randrange(2)} for one in changes]
    for id in range(60):
        for _ in range(chance.randrange(1, 8)):
            op, position = chance.choice("cuuuddr"), 2 * chance.randrange(1, 20)
            moment = START + timedelta(seconds=chance.randrange(40))
            made = row(f"{op}{chance.randrange(3)}@{position}/{chance.choice((1, 1, 2))}", id, event_time=moment)
            changes.append(made | {"at": chance.randrange(3000), "transaction_id": chance.choice((None, "1", "2"))})
    changes += chance.sample(changes[5:], 30)
    chance.shuffle(changes)
    table, cut = Table(project, f"chance_{seed}", land), len(changes) // 3
    for part in (changes[:cut], changes[cut : 2 * cut], changes[2 * cut :]):
        current = table.arrive(part).fold()
    table.arrive([change("m@1", "", at=9000, partition=p) for p in (0, 1)])
    told = table.right(table.fold())
    assert len(told) > 60 and len([s for s in told if s[2] is None]) > 5
    assert current.positions != table.fold().positions
