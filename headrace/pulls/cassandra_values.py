"""Values of Cassandra as the bus carries them, also those that its driver can't make a value of Python of.

By themselves, a moment after the year 9999, a decimal of five thousand digits or a text that is no UTF-8 would fail a
whole page of rows. Here each arrives as something that landing refuses, with its reason, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from cassandra import cqltypes, protocol
from cassandra.util import SortedSet

from headrace.pulls import values
from headrace.sql.validity import LARGEST, SMALLEST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Moment(cqltypes.DateType):
    """Milliseconds, exactly: the driver takes them through a double."""

    @staticmethod
    def deserialize(byts: bytes, protocol_version: int) -> Any:
        millis = int.from_bytes(byts, "big", signed=True)
        try:
            return _EPOCH + timedelta(milliseconds=millis)
        except OverflowError:
            return f"{millis} ms since 1970"


class _Decimal(cqltypes.DecimalType):
    """However many digits it has: Python reads and writes whole numbers of some thousands only."""

    @staticmethod
    def deserialize(byts: bytes, protocol_version: int) -> Any:
        scale = int.from_bytes(byts[:4], "big", signed=True)
        sign, digits, _ = Decimal(int.from_bytes(byts[4:], "big", signed=True)).as_tuple()
        return Decimal((sign, digits, -scale))


class _Text(cqltypes.UTF8Type):
    """Bytes that are no UTF-8 (they can't be written by CQL) stay what they are, see headrace.pulls.exact.raw."""

    @staticmethod
    def deserialize(byts: bytes, protocol_version: int) -> Any:
        return byts.decode("utf-8", "surrogateescape")


_Result: Any = protocol.ProtocolHandler.message_types_by_opcode[protocol.ResultMessage.opcode]
_OURS = {"timestamp": _Moment, "decimal": _Decimal, "text": _Text, "varchar": _Text, "ascii": _Text}


class _Rows(_Result):
    type_codes: ClassVar[Any] = {
        code: _OURS.get(getattr(kind, "typename", ""), kind) for code, kind in _Result.type_codes.items()
    }


class Handler(protocol.ProtocolHandler):
    """The driver's reader of answers, with our readers of some types."""

    message_types_by_opcode: ClassVar[Any] = {**protocol.ProtocolHandler.message_types_by_opcode, _Rows.opcode: _Rows}


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the bus carries it, as rows of every other source (values.py); sets in order, user types as objects.

    Whole numbers that 64 bits don't hold are texts of their digits, as exact decimals are; uuid, inet, time and
    duration are texts, too.
    """
    return values.plain({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    if type(value) is int:
        return value if SMALLEST <= value <= LARGEST else f"{Decimal(value):f}"
    if isinstance(value, Mapping):
        return {_name(key): _plain(inner) for key, inner in value.items()}
    if hasattr(value, "_asdict"):  # a user type
        return {key: _plain(inner) for key, inner in value._asdict().items()}
    if isinstance(value, SortedSet | set | frozenset | list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _name(key: Any) -> str:
    """A key of a map as the name of a property."""
    found = values.plain({"": _plain(key)})[""]
    return found if isinstance(found, str) else str(found)
