"""Reader of JSON files: one object per line, or one array of objects. Numbers keep their digits (exact.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.project import Contract
from headrace.pulls import exact
from headrace.pulls.pulled import Line

_BOM = b"\xef\xbb\xbf"


def read_json(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    """Objects of a JSON file: an array of them, or one per line. Raises ValueError when an array does not parse.

    A line or element that is no object, or can't be read, is handed on as its bytes with its place and the reason.
    """
    content = content.removeprefix(_BOM)
    if is_array(content):
        found = exact.parse(content.decode("utf-8", "surrogateescape"))
        return _elements(found, contract, file)
    return _lines(content, contract, file)


def is_array(content: bytes) -> bool:
    """Whether a JSON file is one array, and not an object per line."""
    return content.removeprefix(_BOM).lstrip()[:1] == b"["


def _elements(found: list[Any], contract: Contract, file: str) -> Iterator[Line]:
    fit = exact.fitter(contract)
    for number, value in enumerate(found, 1):
        yield line(value, fit, number, f"element {number} of {file}", file)


def _lines(content: bytes, contract: Contract, file: str) -> Iterator[Line]:
    fit = exact.fitter(contract)
    for number, raw in enumerate(content.splitlines(), 1):
        if not raw.strip():
            continue
        place = f"line {number} of {file}"
        try:
            value = exact.parse(raw.decode())
        except UnicodeDecodeError:
            yield Line(number, raw, f"{place} is not UTF-8", file)
        except ValueError as error:
            yield Line(number, raw, f"{place} is {error}", file)
        else:
            yield line(value, fit, number, place, file, raw)


def line(value: Any, fit: Any, number: int, place: str, file: str, raw: bytes | None = None) -> Line:
    """A parsed value as a line; one that is no row, or can't be carried, as its bytes with the reason."""
    if not isinstance(value, dict):
        reason = f"{place} is not an object"
    else:
        try:
            return Line(number, fit(value), file=file)
        except ValueError as error:
            reason = f"{place}: {error}"
    return Line(number, exact.raw(value) if raw is None else raw, reason, file)
