"""Values of Cassandra as the bus carries them: read from the bytes of its protocol."""

from __future__ import annotations

import uuid
from collections import namedtuple
from decimal import Decimal

import pytest
from cassandra import cqltypes, util
from cassandra.protocol import ResultMessage

from headrace.pulls.cassandra_values import Handler, plain

CODES = {"ascii": 1, "decimal": 6, "text": 10, "timestamp": 11, "varchar": 13}
TYPES = Handler.message_types_by_opcode[ResultMessage.opcode].type_codes


def millis(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("timestamp", millis(1_767_225_600_123), "2026-01-01T00:00:00.123000Z"),
        ("timestamp", millis(-1), "1969-12-31T23:59:59.999000Z"),
        ("timestamp", millis(2**63 - 1), "9223372036854775807 ms since 1970"),
        ("timestamp", millis(-(2**63)), "-9223372036854775808 ms since 1970"),
        ("decimal", b"\0\0\0\2\4\xd2", "12.34"),
        ("decimal", b"\0\0\0\2\xfb\x2e", "-12.34"),
        ("decimal", b"\x7f\xff\xff\xff\1", "1E-2147483647"),
        ("text", "é".encode(), "é"),
        ("text", b"\xff", "\udcff"),
        ("ascii", b"\xff", "\udcff"),
        ("varchar", b"", ""),
    ],
)
def test_every_value_is_read(kind: str, data: bytes, value: str) -> None:
    assert plain({"x": TYPES[CODES[kind]].from_binary(data, 5)})["x"] == value


def test_thousands_of_digits_are_kept() -> None:
    digits = 7**8000
    found = TYPES[CODES["decimal"]].from_binary(b"\0\0\0\1" + digits.to_bytes(3000, "big"), 5)
    assert plain({"d": found, "v": digits}) == {"d": f"{Decimal(digits):f}"[:-1] + ".1", "v": f"{Decimal(digits):f}"}


def test_the_drivers_own_types_are_untouched() -> None:
    assert cqltypes.lookup_casstype("DateType") is cqltypes.DateType
    assert ResultMessage.type_codes[CODES["timestamp"]] is cqltypes.DateType
    assert cqltypes.lookup_casstype("UTF8Type") is cqltypes.UTF8Type


def test_collections_and_types_of_users_are_json() -> None:
    address = namedtuple("address", "street no")("Main", 2**70)
    row = {
        "set": util.SortedSet(["b", "a"]),
        "map": util.OrderedMapSerializedKey(cqltypes.Int32Type, 5),
        "nested": {1: {uuid.UUID(int=1)}},
        "address": address,
        "double": float("nan"),
        "date": util.Date(2**31 - 1),
        "time": util.Time(1),
        "inside": [(1, Decimal("1.50"))],
    }
    found = plain(row)
    assert found["set"] == ["a", "b"]
    assert found["map"] == {}
    assert found["nested"] == {"1": ["00000000-0000-0000-0000-000000000001"]}
    assert found["address"] == {"street": "Main", "no": str(2**70)}
    assert (found["double"], found["date"], found["time"]) == ("nan", "2147483647", "00:00:00.000000001")
    assert found["inside"] == [[1, "1.50"]]
