"""What tables, views and sources may be called: names that SQL takes without quotes in every engine."""

from __future__ import annotations

import re

from headrace.errors import Place, Problem

_NAME = re.compile(r"[a-z][a-z0-9_]*")
LONGEST = 60  # PostgreSQL cuts names after 63 bytes
VARIANTS = ("changes", "history")  # orders_changes and orders_history are other readings of the table orders


def name_problem(name: str, what: str, place: Place) -> list[Problem]:
    """A problem when the name can't be one of a `what`: a source, a table, a view."""
    if not _NAME.fullmatch(name):
        return [Problem(f"{name!r} can't name a {what}", place, "lower case letters, digits and _, a letter first")]
    if len(name) > LONGEST:
        return [Problem(f"{name!r} is too long to name a {what}", place, f"at most {LONGEST} characters")]
    return []


def table_problem(name: str, place: Place, what: str = "table") -> list[Problem]:
    """As name_problem, for names that stand in SQL: they share their space with each table's other readings."""
    for variant in VARIANTS:
        if name.endswith(f"_{variant}"):
            hint = f"{name} in SQL means the {variant} of {name.removesuffix(f'_{variant}')!r}: choose another name"
            return [Problem(f"a {what} can't be called {name!r}", place, hint)]
    return name_problem(name, what, place)
