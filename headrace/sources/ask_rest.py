"""Asks a REST service for one page, and reads from it where the rows are and how the next page is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from headrace.errors import HeadraceError
from headrace.project import Contract, Table, guess
from headrace.project.found import FoundSource, FoundTable
from headrace.pulls.service import Answer, Service
from headrace.sources import infer
from headrace.sources.asked import Asked

_ROWS = ("data", "items", "results", "rows", "records", "entries", "list", "value", "content")
_NEXT = ("next", "next_page", "next_url", "nextpage", "next_cursor", "nextcursor", "cursor", "next_token")
_DEEP = 3
_MOST = 10_000  # rows of the page that are looked at


def service(asked: Asked) -> FoundSource:
    """The table that an address answers with. Raises HeadraceError when it gives no list of objects."""
    parts = urlsplit(asked.url)
    path = parts.path.rstrip("/")
    base, _, last = path.rpartition("/")
    url = parts._replace(path=base, query="", fragment="").geturl()
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    source = replace(asked.source, url=url, headers=asked.headers)
    contract = Contract(last or asked.name, "1.0.0", (), source.place)
    at = Table(last or asked.name, asked.name, f"/{last}", "", contract, source.place)
    with Service(asked.project.addresses, source, at, tries=2) as opened:
        sent = {name: opened.fill(value) for name, value in parameters.items()}
        answer = opened.get(opened.address(f"/{last}"), sent)
    assert answer is not None  # only where a page may lack
    where, rows = _rows(answer, last)
    settings: dict[str, Any] = {"path": f"/{last}"}
    settings |= {"rows": ".".join(where)} if where else {}
    settings |= {"parameters": parameters} if parameters else {}
    page, notes = _page(answer)
    settings |= {"page": page} if page else {}
    found = infer.columns([rows[:_MOST]])
    changed = guess.event_time([c.column for c in found], "")
    if changed:
        notes += [f"each pull asks for all rows; for those that changed: since: {{parameter: …, column: {changed}}}"]
    table = FoundTable(last or asked.name, f"/{last}", found, notes=tuple(notes), settings=settings)
    connection: dict[str, Any] = {"url": url}
    connection |= {"headers": dict(asked.headers)} if asked.headers else {}
    about = f"The {asked.name} service: all rows of its answers, pulled page by page."
    return FoundSource("rest", connection, about, (table,))


def _rows(answer: Answer, name: str) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The path to the list of rows, and the rows."""
    found = [(where, rows) for where, rows in _lists(answer.body, ()) if any(isinstance(r, dict) for r in rows)]
    if not found:
        empty = any(True for _ in _lists(answer.body, ()))
        message = f"the answer to GET {answer.url} has no {'row' if empty else 'list of objects'} to look at"
        raise HeadraceError(
            message, hint="give the address of a page that has rows" if empty else "is it the right address?"
        )
    known = (name.lower(), *_ROWS)
    found.sort(key=lambda f: (len(f[0]), known.index(f[0][-1].lower()) if f[0] and f[0][-1].lower() in known else 99))
    where, rows = found[0]
    return where, [row for row in rows if isinstance(row, dict)]


def _lists(body: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    if isinstance(body, list):
        yield where, body
    elif isinstance(body, dict) and len(where) < _DEEP:
        for name, value in body.items():
            if "." not in name:
                yield from _lists(value, (*where, name))


def _page(answer: Answer) -> tuple[dict[str, Any], list[str]]:
    """How the next page is asked for, where the answer says so, and what a person should look at."""
    if answer.next:
        return {"by": "link"}, []
    for where, value in _cursors(answer.body, ()):
        path = ".".join(where)
        if "://" in str(value) or str(value).startswith(("/", "?")):
            return {"by": "cursor", "from": path}, []
        note = f"look at page.parameter: the answer has the next page's cursor in {path}, but not what to send it as"
        return {"by": "cursor", "parameter": "cursor", "from": path}, [note]
    note = "the answer names no next page; if there is one, say how: page: {by: number, parameter: page}"
    return {}, [note]


def _cursors(body: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str | int]]:
    if isinstance(body, dict) and len(where) < _DEEP:
        for name, value in body.items():
            if name.lower() in _NEXT and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                yield (*where, name), value
            elif "." not in name:
                yield from _cursors(value, (*where, name))
