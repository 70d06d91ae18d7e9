"""A table of odd values, and one query for every operation that a live view may use: for unit and engine tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from headrace.project.contract import Column
from headrace.sql.live.tree import Table

COLUMNS = (
    Column("id", "integer", required=True, key=True),
    Column("i", "integer"),
    Column("j", "integer"),
    Column("d", "number", precision=10, scale=2),
    Column("e", "number", precision=12, scale=4),
    Column("s", "string"),
    Column("t", "string"),
    Column("b", "boolean"),
    Column("day", "date"),
    Column("at", "timestamp"),
    Column("x", "number"),
)
SAMPLES = Table("samples", COLUMNS, ("id",))

# As they stand in the JSON of an image.
_VALUES: tuple[tuple[Any, ...], ...] = (
    (0, 1, "0.00", "0.0000", "", "", True, "1970-01-01", "1970-01-01T00:00:00Z", 0.0),
    (5, -3, "12.35", "-0.0001", "placed", "Pläced ", False, "2024-02-29", "2024-02-29T23:59:59.999999Z", 1.5),
    (-17, 17, "-99999999.99", "99999999.9999", "a%b", "50% off", 1, "1969-12-31", "1969-12-31T23:59:59.5Z", -2.345),
    (9223372036854775807, 9223372036854775807, "99999999.99", "1.2345", " x ", "x", 0, "9999-12-31",
     "2099-12-31T12:34:56.789123999Z", 123456.785),
    (-9223372036854775808, 1, "0.05", "0.5000", "ÄÖÜß", "straße", None, "2000-01-01", "2000-01-01T10:10:10Z", 0.1),
    (None, None, None, None, None, None, None, None, None, None),
    (7, None, "10.50", None, "new\nline", None, True, None, "2026-11-21T13:45:00.000001Z", None),
    (None, 3, None, "7.1000", None, "O'Neil \\ \"q\"", None, "2026-03-01", None, 99999.995),
    (42, 42, "42.00", "42.0000", "日本語テキスト", "日本", False, "2026-12-31", "2026-12-31T23:00:00.25Z", 42.0),
    (1, 2, "1.10", "2.2000", "İstanbul ıǅﬁŉ", "ΟΔΟΣ ẞ Ⅷ ა", True, "1900-03-01", "1900-02-28T13:14:15.160001Z", -0.005),
)  # fmt: skip

ROWS = [{"id": n, **dict(zip([c.name for c in COLUMNS[1:]], v, strict=True))} for n, v in enumerate(_VALUES)]

EXPRESSIONS = Path(__file__).with_name("expressions.sql").read_text(encoding="utf-8").strip().split("\n")
QUERY = (
    "SELECT " + ", ".join(f"{e} AS c{n}" for n, e in enumerate(EXPRESSIONS)) + ", COUNT(*) AS n\nFROM samples GROUP BY "
)
QUERY += ", ".join(EXPRESSIONS)


def typed(image: dict[str, Any]) -> dict[str, Any]:
    """An image with Python's values, as Spark and Flink have them after reading it."""
    readers = {"number": Decimal, "date": date.fromisoformat, "timestamp": _instant, "boolean": bool}
    return {
        c.name: value
        if value is None or (c.logical == "number" and not c.precision)
        else readers.get(c.logical, _same)(value)
        for c in COLUMNS
        for value in [image[c.name]]
    }


def _same(value: Any) -> Any:
    return value


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
