"""Each rule by a history that is right with it and wrong without it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.unit.sql.live.layers import CHUNK, RULES
from tests.unit.sql.live.test_histories import QUERIES
from tests.unit.sql.live.world import World, view_of

VIEW = view_of(QUERIES[0])
HISTORIES: dict[str, Callable[[World], None]] = {}


def history(play: Callable[[World], None]) -> Callable[[World], None]:
    HISTORIES[play.__name__] = play
    return play


def row(amount: str | None, place: int = 1) -> dict[str, object]:
    return {"place": place, "amount": None if amount is None else Decimal(amount)}


def settle(world: World, cuts: int = 3) -> None:
    """Time passes and a batch covers what was."""
    world.clock += cuts * CHUNK
    world.mark()
    world.land()
    world.run()


@history
def chunk(world: World) -> None:
    world.change(1, row("5"))
    settle(world)
    world.change(2, row("7"))  # landed, and behind the cut: the speed layer's
    world.land()
    world.run()


@history
def markers(world: World) -> None:
    settle(world)
    world.change(1, row("5"), hidden=True)
    world.clock += 3 * CHUNK
    world.mark()
    world.land()  # partition 0 is past, in partition 1 a transaction hides a record from before
    world.run()
    world.commit()


@history
def margin(world: World) -> None:
    settle(world)
    world.behind[1] = 9  # a new leader, whose clock is behind
    world.change(1, row("5"))


@history
def partitions(world: World) -> None:
    settle(world)
    world.bus.partitions.append([])
    world.change(2, row("5"))
    world.clock += 3 * CHUNK
    world.mark()
    for partition in (0, 1):  # nobody has discovered the third one yet
        world.batch.land(partition)
    world.run()


@history
def upto(world: World) -> None:
    settle(world)
    world.change(1, row("5"))
    world.speed.checkpoint()
    for key in (3, 5):
        world.change(key, row("5"))
    world.crash()


@history
def min_offset(world: World) -> None:
    settle(world)
    world.change(1, row("5"))
    world.speed.forget()
    world.change(3, row("7"))


@history
def clear(world: World) -> None:
    settle(world)
    world.change(1, row("5"))
    world.clock += 3 * CHUNK
    world.run()  # nothing new is landed: the cut stays


@history
def restart(world: World) -> None:
    settle(world)
    world.change(1, row("5"))
    world.serving.speed.clear()  # a new version of the query begins with tables of its own
    world.restart()


@history
def switch(world: World) -> None:
    settle(world)
    world.change(1, row("5"))
    settle(world)


@history
def base(world: World) -> None:
    settle(world)
    world.clock += 3 * CHUNK
    world.mark()
    world.land()
    late = world.compute()
    world.change(1, row("5"))
    settle(world)
    world.publish(late)


@history
def net(world: World) -> None:
    settle(world)
    world.change(3, row("1"))
    world.change(1, row("10"))
    world.change(1, row("12"))


@history
def hidden(world: World) -> None:
    settle(world)
    world.change(1, row("5"))
    world.change(3, row(None))
    world.change(1, None)


@history
def owed(world: World) -> None:
    settle(world)
    world.clock += 2 * CHUNK
    world.change(1, row("10"))
    world.behind[1] = CHUNK
    world.change(1, None)  # appended in the chunk before the one in which the row came
    world.change(3, row("2"))
    world.behind[1] = 0
    world.clock += CHUNK
    world.mark()
    world.land()
    world.run()


@history
def validity(world: World) -> None:
    settle(world)
    world.change(1, row("-1"), good=False)
    world.change(1, row("10"))
    world.change(1, row("-2"), good=False)


@history
def snapshot(world: World) -> None:
    world.change(1, row("5"))
    settle(world)
    world.snapshot(lost=False)
    settle(world)


def test_every_rule_has_its_history():
    assert set(HISTORIES) == set(RULES)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_with_the_rule_the_history_is_right(rule: str):
    HISTORIES[rule](World(VIEW))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_without_the_rule_the_history_is_wrong(rule: str):
    with pytest.raises(AssertionError):
        HISTORIES[rule](World(VIEW, frozenset({rule})))
