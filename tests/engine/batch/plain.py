"""What current and history tables must hold, by a plain walk over the landed changes in the source's order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from .conftest import START

Image = dict[str, Any]
State = tuple[Image, datetime, datetime | None]  # valid from, valid to; None: still valid
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Told:
    """One key: what was there and when. `doubt` is when a snapshot ended that has not known its row (yet)."""

    states: list[State] = field(default_factory=list)
    image: Image | None = None
    since: datetime = NEVER
    now: datetime = NEVER  # no state begins before it
    newest: datetime = NEVER  # event time of its states
    transaction: str | None = None
    deleted: bool = False
    doubt: datetime | None = None

    def end(self, at: datetime) -> None:
        if self.image is not None:
            self.states.append((self.image, self.since, max(self.since, at)))
        self.image = self.doubt = None

    def put(self, change: dict[str, Any], known: bool, floor: datetime) -> None:
        if self.doubt and not known:
            self.end(self.doubt)
        self.doubt = None
        appended = appended_at(change)
        event = change.get("event_time", appended)
        together = self.transaction is not None and self.transaction == change.get("transaction_id")
        self.transaction = change.get("transaction_id")
        if change["op"] == "d":
            if not self.deleted:
                self.now = max(self.now, event if together else appended, floor)
                self.end(self.now)
            self.deleted = True
        elif self.image != change["after"]:
            begins = appended if event <= self.newest and not together else event
            self.now, self.newest = max(self.now, begins, floor), max(self.newest, event)
            self.end(self.now)
            self.image, self.since, self.deleted = change["after"], self.now, False


def appended_at(change: dict[str, Any]) -> datetime:
    return START + timedelta(seconds=change["at"])


def walk(landed: list[dict[str, Any]]) -> tuple[list[Image], list[State]]:
    """The rows of the current table, and every state with a time of its own. `landed` is in order of arrival."""
    offsets: dict[int, int] = defaultdict(int)
    steps = []
    for change in landed:
        partition = change.get("partition", 0)
        place = (change.get("epoch", 1), change["position"])
        floor = change["op"] == "t" or change.get("snapshot") in ("last", "last_in_data_collection", "complete")
        if floor:
            steps.append((*place, 0, 0, 0, change))  # it takes away what lies below it
        if change["op"] in ("c", "u", "d", "r"):
            steps.append((*place, 1, partition, offsets[partition], change))
            old = {k: (change.get("before") or change["key"])[k] for k in change["key"]}
            if old != change["key"]:  # it moved to another key
                steps.append((*place, 1, partition, offsets[partition], change | {"op": "d", "key": old}))
        offsets[partition] += 1
    told: dict[tuple[Any, ...], Told] = defaultdict(Told)
    cleared, ended = NEVER, None  # the floors passed; the last, when a snapshot's
    for epoch, _, is_row, _, _, change in sorted(steps, key=lambda s: s[:5]):
        if is_row:
            own = change["op"] != "c" and ended is not None and ended[0] == epoch
            floor = cleared if own or ended is None else max(cleared, ended[1])
            told[tuple(change["key"].items())].put(change, own, floor)
            continue
        at = appended_at(change)
        cleared = max(cleared, ended[1]) if ended else cleared
        for one in told.values():
            if one.doubt:
                one.end(one.doubt)
            one.doubt = max(cleared, at) if one.image is not None else None
        if change["op"] == "t":
            cleared, ended = max(cleared, at), None
            for one in told.values():
                if one.doubt:
                    one.end(one.doubt)
        else:
            ended = (epoch, max(cleared, at))
    for one in told.values():
        if one.doubt:
            one.end(one.doubt)
    current = [one.image for one in told.values() if one.image is not None]
    states = [s for one in told.values() for s in one.states if s[1] < (s[2] or s[1])]
    return current, states + [(one.image, one.since, None) for one in told.values() if one.image is not None]


def unsound(states: list[State], current: list[Image], key: tuple[str, ...]) -> list[str]:
    """What is wrong with a history whatever the changes were: empty or overlapping intervals, open ones without row."""
    found = []
    by_key: dict[tuple[Any, ...], list[State]] = defaultdict(list)
    for state in states:
        by_key[tuple(state[0][k] for k in key)].append(state)
    living = {tuple(row[k] for k in key): row for row in current}
    for one, mine in by_key.items():
        mine.sort(key=lambda s: s[1])
        found += [f"{one}: empty {s}" for s in mine if s[2] is not None and s[2] <= s[1]]
        found += [f"{one}: {a} overlaps {b}" for a, b in pairwise(mine) if not a[2] or a[2] > b[1]]
        if [s[0] for s in mine if s[2] is None] != ([living[one]] if one in living else []):
            found.append(f"{one}: open {mine} but current {living.get(one)}")
    return found + [f"{one}: no history" for one in living if one not in by_key]
