"""What follows from CHECKs, as both databases write them down."""

from __future__ import annotations

import pytest

from headrace.sql.bounds import Bounds, bounds


@pytest.mark.parametrize(
    ("dialect", "check", "expected"),
    [
        ("postgres", "amount >= 0::numeric", {"amount": Bounds(minimum=0)}),
        ("postgres", "((x >= (-1.5)) AND (x <= (100)::numeric))", {"x": Bounds(minimum=-1.5, maximum=100)}),
        (
            "postgres",
            "(state)::text = ANY ((ARRAY['new'::character varying, 'old'::character varying])::text[])",
            {"state": Bounds(("new", "old"))},
        ),
        ("postgres", "10 > y AND upper(z) = z", {"y": Bounds(maximum=10)}),
        ("mysql", "`s` in ('a','b')", {"s": Bounds(("a", "b"))}),
        ("mysql", "`x` between 1 and 5", {"x": Bounds(minimum=1, maximum=5)}),
        ("mysql", "`amount` > 0 and `amount` < 5", {"amount": Bounds(minimum=0, maximum=5)}),
        # Nothing surely follows from these.
        ("mysql", "json_valid(`x`)", {}),
        ("postgres", "a > b", {}),
        ("postgres", "x > 0 OR y > 0", {}),
        ("postgres", "NOT (x > 0)", {}),
        ("postgres", "state = ANY (ARRAY['a', other])", {}),
        ("postgres", "this is (no SQL", {}),
    ],
)
def test_a_check(dialect: str, check: str, expected: dict[str, Bounds]) -> None:
    assert bounds([check], dialect) == expected


def test_several_checks_of_a_column_hold_together() -> None:
    assert bounds(["x >= 0", "x >= 5", "x <= 9"], "postgres") == {"x": Bounds(minimum=5, maximum=9)}
