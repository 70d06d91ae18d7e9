"""Changes that were sent twice are told from those that came once, in any transaction."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.audit import repeats
from tests.unit.audit.test_lake_side import TABLE, change, connection, image, land, project

__all__ = ["project"]  # a fixture


def twice(project, changes: list[dict]) -> set[str]:
    land(project, changes)
    return repeats.repeated(connection(), project, TABLE, {0: len(changes)})


def row(op: str, paid: str, before: str | None = None, **more) -> dict:
    old = image(1, before) if before else None
    return change(op, 1, 7, paid, before=old, transaction_id="0-1-5") | more


@pytest.mark.parametrize(
    "changes",
    [
        [row("c", "1.00")] * 2,
        [row("d", "", "1.00")] * 2,
        [row("u", "2.00", "1.00")] * 2,
        [row("c", "1.00"), row("u", "2.00", "1.00")] * 2,
        [row("u", "2.00", "1.00"), row("d", "", "2.00")] * 2,
        [row("c", "1.00"), row("c", "1.00"), row("u", "2.00", "1.00")],
    ],
)
def test_what_was_sent_twice_is_found(project, changes):
    assert twice(project, changes) == {'{"id":1}'}


@pytest.mark.parametrize(
    "changes",
    [
        [row("c", "1.00"), row("u", "2.00", "1.00"), row("d", "", "2.00"), row("c", "1.00"), row("u", "2.00", "1.00")],
        [
            row("c", "1.00"),
            row("c", "1.00", transaction_id="0-1-6", position=f"{8:020d}/"),
        ],  # what lies between is lost
        [row("c", "1.00"), change("t", 0, 7, transaction_id="0-1-5"), row("c", "1.00")],
        [row("c", "1.00", after=None), row("u", "2.00", "1.00"), row("c", "1.00")],  # replayed out of quarantine
        [row("r", "1.00")] * 2,
        [row("d", "", "1.00"), row("u", "3.00") | {"before": image(2, "3.00")}],  # another row took its key
        [row("u", "2.00") | {"before": '{"id":1}'}] * 2,  # the source tells no old values
    ],
)
def test_what_can_be_so_is_not(project, changes):
    assert twice(project, changes) == set()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(1, 3)), min_size=1, max_size=12), st.data())
def test_a_sum_over_changes_is_right_or_what_was_sent_twice_is_found(project, wishes, data):
    """What a client sends again: the first rows of the transaction, from its begin, and then all."""
    there: dict[int, int] = {}
    sent = []
    for id_, goes, paid in wishes:
        old = there.pop(id_, None)
        op = "c" if old is None else "d" if goes else "u"
        before = image(id_, f"{old}.00") if old else None
        sent.append(change(op, id_, 7, f"{paid}.00", before=before, transaction_id="0-1-5"))
        if op != "d":
            there[id_] = paid
    assert twice(project, sent) == set()
    assert summed(sent) == Counter(there)
    told = sent[: data.draw(st.integers(1, len(sent)))] + sent
    assert summed(told) == Counter(there) or twice(project, told)


def summed(changes: list[dict]) -> Counter[int]:
    """Key → sum of what its changes add and take away."""
    found: Counter[int] = Counter()
    for text, sign in ((text, sign) for c in changes for text, sign in ((c["after"], 1), (c["before"], -1)) if text):
        values = json.loads(text)
        found[values["id"]] += sign * int(float(values["paid"]))
    return found
