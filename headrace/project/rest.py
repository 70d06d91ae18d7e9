"""What a table of a REST source says about its requests (rest_file.py reads it)."""

from __future__ import annotations

from dataclasses import dataclass

# How an answer of many pages is walked → the settings that way of paging has beside `by` and `most`.
PAGING = {
    "number": {"parameter", "first", "size_parameter", "size"},
    "offset": {"parameter", "size_parameter", "size"},
    "cursor": {"parameter", "from", "size_parameter", "size"},
    "link": {"size_parameter", "size"},
}
MOST_PAGES = 10_000  # of one pull, where the file names no other bound


@dataclass(frozen=True)
class Paging:
    """How one page leads to the next: by its number, by an offset, by a cursor in the body, or by the Link header."""

    by: str = ""  # a key of PAGING; empty: the answer is one page
    parameter: str = ""  # of the page's number, the offset or the cursor; a cursor without one is an address
    size_parameter: str = ""
    size: int = 0  # rows that are asked for; 0: what the service likes
    first: int = 1  # number of the first page
    cursor: tuple[str, ...] = ()  # the cursor's path in the body
    most: int = MOST_PAGES


@dataclass(frozen=True)
class Rest:
    """One table's requests. Texts still hold ${NAME} where a secret belongs."""

    path: str
    rows: tuple[str, ...] = ()  # path in the body to the list of rows; empty: the body is the list
    paging: Paging = Paging()
    parameters: tuple[tuple[str, str], ...] = ()  # sent with every request
    since_parameter: str = ""  # asks for rows that changed since; empty: each pull asks for all
    since_column: str = ""
