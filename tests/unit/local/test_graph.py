"""Steps run side by side, in order of their needs, and a failed one holds up only those that need it."""

from __future__ import annotations

import threading

from headrace.errors import HeadraceError
from headrace.local.graph import Step, run


def test_a_step_waits_for_what_it_needs():
    order: list[str] = []
    steps = [
        Step("c", lambda: order.append("c"), ("b",)),
        Step("b", lambda: order.append("b"), ("a", "not in this run")),
    ]
    outcomes = run([*steps, Step("a", lambda: order.append("a"))])
    assert order == ["a", "b", "c"]
    assert all(outcome.good for outcome in outcomes.values())


def test_independent_steps_run_at_the_same_time():
    both = threading.Barrier(2, timeout=5)
    outcomes = run([Step("a", lambda: both.wait() and None), Step("b", lambda: both.wait() and None)])
    assert all(outcome.good for outcome in outcomes.values()), "each waited for the other to have started"


def test_a_failure_holds_up_only_those_that_need_it():
    def fail() -> None:
        raise HeadraceError("no")

    ran: list[str] = []
    steps = [
        Step("bus", fail),
        Step("connect", lambda: ran.append("connect"), ("bus",)),
        Step("connectors", lambda: ran.append("connectors"), ("connect",)),
        Step("spark", lambda: ran.append("spark")),
    ]
    outcomes = run(steps)
    assert ran == ["spark"]
    assert str(outcomes["bus"].error).strip() == "no"
    assert (outcomes["connect"].held_up, outcomes["connectors"].held_up) == ("bus", "connect")
