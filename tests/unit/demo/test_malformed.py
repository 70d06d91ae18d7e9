"""What the generator calls malformed must be refused by the contract, and nothing else that it sends."""

from __future__ import annotations

from pathlib import Path
from random import Random

import orjson
import pytest

from demo.broken import broken
from demo.story import story
from headrace.project import load
from headrace.sql.validity import Invalid, compile_check
from tests.unit.demo.test_story import order

TABLES = ("trips", "deliveries", "ratings", "courier_pings")


def accepted(check, value: bytes) -> bool:
    try:
        row = orjson.loads(value)
        if type(row) is not dict:
            return False
        check(row)
    except (orjson.JSONDecodeError, Invalid):
        return False
    return True


@pytest.fixture(scope="module")
def checks(repository: Path) -> dict:  # type: ignore[type-arg]
    tables = load(repository).tables
    return {t: compile_check(tables[t].contract.columns, tables[t].contract.event_time) for t in TABLES}


def test_events_keep_their_contract_unless_malformed(checks: dict):  # type: ignore[type-arg]
    kinds = set()
    for id in range(1, 1500):
        for step in story(3, order(id)):
            if step.verb == "send":
                good = step.data["kind"] != "malformed"
                assert accepted(checks[step.data["table"]], step.data["value"]) == good, step.data
                kinds.add((step.data["table"], good))
    assert len(kinds) == 2 * len(TABLES)


@pytest.mark.parametrize("seed", range(40))
def test_every_way_to_break_an_event_breaks_its_contract(checks: dict, seed: int):  # type: ignore[type-arg]
    sends = [step.data for id in range(1, 20) for step in story(1, order(id)) if step.verb == "send"]
    for data in sends:
        if data["kind"] == "event":
            assert not accepted(checks[data["table"]], broken(orjson.loads(data["value"]), Random(seed)))
