"""A range of keys, so that a large table can be audited piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.errors import HeadraceError
from headrace.project import Column, Table


@dataclass(frozen=True)
class Range:
    """Keys from `first` to `last`, both included, of tables whose key is one whole number."""

    first: int
    last: int

    def source(self, kind: str, table: Table) -> str:
        """The condition in the source's SQL, with its WHERE."""
        quote = '"' if kind == "postgresql" else "`"
        return f" WHERE {quote}{_key(table).name}{quote} BETWEEN {self.first} AND {self.last}"

    def lake(self, table: Table) -> str:
        """The condition on the list of key texts."""
        _key(table)
        return f"CAST(key[1] AS BIGINT) BETWEEN {self.first} AND {self.last}"


def parse(text: str) -> Range:
    """'1..1000' as a range. Raises HeadraceError when it is none."""
    first, _, last = text.partition("..")
    try:
        found = Range(int(first), int(last))
    except ValueError:
        raise HeadraceError(f"not a range of keys: {text!r}", hint="--keys 1..1000000") from None
    if found.first > found.last:
        raise HeadraceError(f"the range of keys is empty: {text!r}", hint=f"--keys {found.last}..{found.first}")
    return found


def _key(table: Table) -> Column:
    key = [c for c in table.contract.columns if c.key]
    if len(key) != 1 or key[0].logical != "integer":
        raise HeadraceError(
            f"table {table.name!r} has no key of one whole number, so no range of keys", hint="leave --keys out"
        )
    return key[0]
