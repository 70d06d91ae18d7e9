"""Random histories, landed in any order, give the same current table as a plain fold of the same changes."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from deltalake import DeltaTable

from headrace.batch.current import refresh
from headrace.batch.session import session
from headrace.lake.commits import stored
from headrace.serve import schema

from .conftest import START, contract, project_files

COLUMNS = "id integer key;name string;amount decimal(12,2);ratio number;ok boolean;day date;seen timestamp;doc object"


def rows_of(path: str) -> dict[int, dict[str, Any]]:
    """What a user would see, by key."""
    table = DeltaTable(path).to_pyarrow_table().to_pylist()
    return {r["id"]: {k: v for k, v in r.items() if not k.startswith("_")} for r in table if not r["_deleted"]}


class Database:
    """A source table: `log` is what its connector would send, `rows` what a plain fold of that gives."""

    def __init__(self, seed: int) -> None:
        self.random, self.rows, self.log, self.position = random.Random(seed), {}, [], 0

    def step(self) -> None:
        self.position += 1
        kinds = ("put", "delete", "truncate", "crashed snapshot", "snapshot", "empty snapshot")
        kind = self.random.choices(kinds, (60, 25, 1, 1, 2, 1))[0]
        if kind == "put" or (kind == "delete" and not self.rows):
            self.put(self.random.randrange(40))
        elif kind == "delete":
            key = self.random.choice(sorted(self.rows))
            self.send("d", key, before=self.rows.pop(key))
        elif kind == "truncate":
            self.rows.clear()
            self.log.append({"op": "t", "position": self.at(), "partition": self.random.randrange(2)})
        elif kind == "empty snapshot":  # it brings no row: only the markers tell that it is complete
            self.rows.clear()
            common = {"op": "m", "position": self.at(), "snapshot": "complete"}
            self.log += [common | {"partition": 0}, common | {"partition": 1}]
        else:
            self.snapshot(complete=kind == "snapshot")

    def put(self, key: int) -> None:
        image = self.image(key)
        self.send("u" if key in self.rows else "c", key, before=self.rows.get(key), after=image)
        self.rows[key] = image

    def snapshot(self, complete: bool) -> None:
        # Rows that go away between two snapshots are never told of: that is what the end of a snapshot is for.
        if complete:
            for key in self.random.sample(sorted(self.rows), min(2, len(self.rows))):
                del self.rows[key]
        if not self.rows:
            self.put(1)
            self.position += 1
        keys = sorted(self.rows)
        for index, key in enumerate(keys if complete else keys[: len(keys) // 2]):
            last = complete and index == len(keys) - 1
            self.send("r", key, after=self.rows[key], snapshot="last_in_data_collection" if last else "true")

    def send(self, op: str, key: int, **images: Any) -> None:
        self.log.append({"op": op, "key": {"id": key}, "position": self.at(), "partition": key % 2, **images})

    def at(self) -> str:
        return f"{self.position:020d}"

    def image(self, key: int) -> dict[str, Any]:
        seen = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(microseconds=self.random.randrange(10**12))
        fraction = self.random.choice(["", ".5", f".{seen.microsecond:06d}", ".123456789"])
        return {
            "id": key,
            "name": self.random.choice(["", "a'b", "line\nbreak", 'quo"te', "Zürich", None]),
            "amount": f"{self.random.randrange(-10**11, 10**11) / 100:.2f}",
            "ratio": self.random.random(),
            "ok": self.random.choice([True, False, 1, 0, None]),
            "day": self.random.choice(["2024-02-29", "2024-02-29Z", None]),
            "seen": seen.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z",
            "doc": self.random.choice([None, {"a": [1, 2]}]),
        }  # fmt: skip


def typed(image: dict[str, Any]) -> dict[str, Any]:
    """The image as the contract's types."""
    whole, _, fraction = image["seen"].rstrip("Z").partition(".")
    seen = datetime.fromisoformat(whole).replace(tzinfo=UTC, microsecond=int(fraction[:6].ljust(6, "0") or 0))
    return image | {
        "amount": Decimal(image["amount"]),
        "ok": None if image["ok"] is None else bool(image["ok"]),
        "day": image["day"] and date(2024, 2, 29),
        "seen": seen,
        "doc": image["doc"] and '{"a":[1,2]}',
    }


@pytest.mark.parametrize(("seed", "small"), [(1, 10**6), (2, 0)], ids=["few rows", "many rows"])
def test_current_equals_a_plain_fold_in_any_order_of_arrival(
    ground, make_project, land, monkeypatch, seed, small
) -> None:
    monkeypatch.setattr("headrace.batch.session.SMALL", small)  # Spark works in another way over many rows
    table = f"things_{seed}"
    project = make_project(project_files({table: contract(table, COLUMNS)}, {}), on=ground)
    schema.ensure(project)
    database = Database(seed)
    for _ in range(400):
        database.step()
    log = [c | {"at": database.random.randrange(1000)} for c in database.log]
    log += database.random.sample(log, 40)  # the same change again, at another offset
    database.random.shuffle(log)
    log += [{"op": "m", "partition": p, "at": 2000} for p in (0, 1)]
    spark = lambda: session(project)  # noqa: E731
    cuts = sorted(database.random.sample(range(1, len(log)), 2))
    for begin, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        land(project, table, log[begin:end])
        current = refresh(project, project.table(table), spark)
    expected = {key: typed(image) for key, image in database.rows.items()}
    assert rows_of(current.path) == expected
    assert expected, "the history ended with an empty table and shows little"
    assert (
        refresh(project, project.table(table), lambda: pytest.fail("Spark was asked though nothing landed")) == current
    )
    rebuilt = refresh(project, project.table(table), spark, rebuild=True)
    assert rows_of(rebuilt.path) == expected
    assert rebuilt.positions == current.positions


def test_each_event_counts_once_within_its_horizon(ground, make_project, land) -> None:
    fields = contract("beats", "event_id string key;courier integer", eventId="event_id", duplicateHorizon="1m")
    project = make_project(project_files({"beats": fields}, {}), on=ground)
    schema.ensure(project)
    chance = random.Random(7)
    # Nondecreasing append times within each partition, as a broker gives them; the partitions land at their own pace.
    arrivals = {
        p: sorted((chance.randrange(600), f"e{chance.randrange(60)}", chance.randrange(9)) for _ in range(150))
        for p in (0, 1)
    }
    heads = {0: 0, 1: 0}
    while any(heads[p] < 150 for p in heads):
        changes = []
        for p in heads:
            take = chance.choice([0, 40, 80])
            for at, event, courier in arrivals[p][heads[p] : heads[p] + take]:
                changes.append(
                    {
                        "op": "c",
                        "partition": p,
                        "at": at,
                        "event_id": event,
                        "after": {"event_id": event, "courier": courier},
                    }
                )
            heads[p] += take
        if changes:
            land(project, "beats", changes)
            current = refresh(project, project.table("beats"), lambda: session(project))
    seen: dict[str, int] = {}
    expected = []
    everything = sorted(
        (at, p, offset, event) for p, rows in arrivals.items() for offset, (at, event, _) in enumerate(rows)
    )
    for at, p, offset, event in everything:
        if event not in seen or seen[event] + 60 <= at:
            expected.append((p, offset))
        seen[event] = at
    found = DeltaTable(current.path).to_pyarrow_table().to_pylist()
    assert sorted((r["_partition"], r["_offset"]) for r in found if not r["_deleted"]) == sorted(expected)
    assert len(found) == 300
    assert 0 < len(expected) < 300


def test_a_new_snapshot_takes_rows_away_only_when_every_partition_has_it(ground, make_project, land) -> None:
    """The end of a snapshot lands in one partition while another still lacks its rows: none may be missing."""
    project = make_project(project_files({"snap": contract("snap", "id integer key;n integer")}, {}), on=ground)
    schema.ensure(project)

    def rows(n: int, epoch: int, ids: tuple[int, ...], at: int) -> list[dict[str, Any]]:
        common = {"op": "r", "epoch": epoch, "position": f"{epoch:05d}", "at": at}
        made = [common | {"key": {"id": i}, "after": {"id": i, "n": n}, "partition": i % 2} for i in ids]
        made[-1]["snapshot"] = "last"
        return made

    land(project, "snap", rows(1, 1, (0, 1, 2, 3), 1))
    refresh(project, project.table("snap"), lambda: session(project))
    second = rows(2, 2, (1, 0), 5)  # 2 and 3 were deleted while nobody watched
    land(project, "snap", second[1:])
    current = refresh(project, project.table("snap"), lambda: session(project))
    assert {i: r["n"] for i, r in rows_of(current.path).items()} == {0: 2, 1: 1, 2: 1, 3: 1}
    land(project, "snap", second[:1])
    current = refresh(project, project.table("snap"), lambda: session(project))
    assert {i: r["n"] for i, r in rows_of(current.path).items()} == {0: 2, 1: 2}


def test_a_lost_commit_note_and_a_killed_run_change_nothing(ground, make_project, land) -> None:
    """Folding a range again, as after a kill between commit and record, or after the log forgot the state."""
    project = make_project(project_files({"again": contract("again", "id integer key;n integer")}, {}), on=ground)
    schema.ensure(project)
    spark = lambda: session(project)  # noqa: E731
    land(
        project,
        "again",
        [{"op": "c", "key": {"id": i}, "after": {"id": i, "n": 0}, "partition": i % 2} for i in range(9)],
    )
    first = refresh(project, project.table("again"), spark)
    land(project, "again", [{"op": "d", "key": {"id": 1}, "before": {"id": 1, "n": 0}, "partition": 1}])
    refresh(project, project.table("again"), spark)
    session(project).sql(f"DELETE FROM delta.`{first.path}` WHERE id = 99")  # a commit without state
    session(project).sql(f"UPDATE delta.`{first.path}` SET n = n WHERE id = 2")
    commit = stored(first.path)
    assert commit
    assert commit.state["positions"] == {"0": 5, "1": 5}
    land(project, "again", [{"op": "u", "key": {"id": 1}, "after": {"id": 1, "n": 9}, "partition": 1, "position": "0"}])
    current = refresh(project, project.table("again"), spark)
    assert sorted(rows_of(current.path)) == [0, 2, 3, 4, 5, 6, 7, 8], "a late update must not bring a deleted row back"
    assert current.positions == {0: 5, 1: 6}
    assert START.year == 2026
