"""All pages of one table of a REST source, in any of the usual ways, and an end to every walk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from headrace.errors import did_you_mean
from headrace.project import Table
from headrace.project.rest import Paging, Rest
from headrace.pulls.service import Answer, Service

Request = tuple[str, dict[str, str]]  # address and parameters


def pages(service: Service, table: Table, since: str | None = None) -> Iterator[list[Any]]:
    """The rows of each page, from the first to the last; `since` is the value of the table's since parameter.

    A walk by number or offset ends at an empty page, not at a short one: services cap the size that is asked for.
    Guarantee: it ends. Raises HeadraceError when a cursor, an address or a whole page comes again, and after as many
    pages as the file allows. What a service hides from the walk, because its pages shift while they are read, is not
    seen: number and offset need an order that changes don't disturb.
    """
    rest = table.rest or Rest(table.origin)
    paging = rest.paging
    walk = _Walk(service, rest, since)
    request: Request | None = walk.first()
    before: list[Any] = []
    for number in range(1, paging.most + 1):
        # Some services have no empty page behind the last one.
        answer = service.get(*request, may_lack=paging.by == "number" and number > 1)
        if answer is None:
            return
        rows = _rows(service, answer, rest)
        if rows and rows == before and paging.by in ("number", "offset"):
            message = f"page {number} is the same as the one before it: GET {answer.url}"
            raise service.error(message, f"does the service know the parameter {paging.parameter!r}?")
        yield rows
        request, before = walk.after(request, answer, rows), rows
        if request is None:
            return
    hint = f"page: {{most: {paging.most * 10}}}   allows more"
    raise service.error(f"{table.origin} has more than {paging.most:,} pages", hint)


class _Walk:
    """From one request to the next."""

    def __init__(self, service: Service, rest: Rest, since: str | None) -> None:
        self.service, self.rest, self.paging = service, rest, rest.paging
        self.fixed = {name: service.fill(value) for name, value in rest.parameters}
        self.since = {} if since is None else {rest.since_parameter: since}
        self.pages = self.rows = 0
        self.seen: set[str] = set()

    def first(self) -> Request:
        paging = self.paging
        size = {paging.size_parameter: str(paging.size)} if paging.size else {}
        start = {"number": str(paging.first), "offset": "0"}.get(paging.by)
        at = {} if start is None else {paging.parameter: start}
        return self.service.address(self.rest.path), self.fixed | self.since | size | at

    def after(self, request: Request, answer: Answer, rows: list[Any]) -> Request | None:
        paging, (url, parameters) = self.paging, request
        self.pages += 1
        self.rows += len(rows)
        if paging.by in ("number", "offset"):
            following = paging.first + self.pages if paging.by == "number" else self.rows
            return (url, parameters | {paging.parameter: str(following)}) if rows else None
        given = self._cursor(answer, rows) if paging.by == "cursor" else answer.next if paging.by == "link" else ""
        if not given:
            return None
        if given in self.seen:
            message = f"{_name(paging)} {given!r} came before: following it would never end: GET {answer.url}"
            raise self.service.error(message)
        self.seen.add(given)
        if paging.by == "cursor" and paging.parameter:
            return url, parameters | {paging.parameter: given}
        there = self.service.within(url, given)
        known = parse_qs(urlsplit(there).query, keep_blank_values=True)
        return there, {name: value for name, value in self.fixed.items() if name not in known}

    def _cursor(self, answer: Answer, rows: list[Any]) -> str:
        path = ".".join(self.paging.cursor)
        value, found = _at(answer.body, self.paging.cursor)
        if not found and self.pages == 1 and self.paging.size and len(rows) >= self.paging.size:
            message = f"the first page is full, but the answer to GET {answer.url} has no {path!r} to go on with"
            raise self.service.error(message, _listed(answer.body, self.paging.cursor))
        if value is None or value is False or value == "":
            return ""
        if isinstance(value, bool | dict | list):
            raise self.service.error(f"{path!r} in the answer to GET {answer.url} is {_kind(value)}, not a cursor")
        return str(value)


def _rows(service: Service, answer: Answer, rest: Rest) -> list[Any]:
    value, found = _at(answer.body, rest.rows)
    path = ".".join(rest.rows)
    if not found:
        message = f"the answer to GET {answer.url} has no {path!r}, where its rows should be"
        raise service.error(message, _listed(answer.body, rest.rows))
    if value is None and rest.rows:
        return []  # what some services say instead of an empty list
    if isinstance(value, list):
        return value
    what = f"{path!r} in the answer" if path else "the answer"
    lists = [name for name, inner in value.items() if isinstance(inner, list)] if isinstance(value, dict) else []
    hint = f"rows: {'.'.join((*rest.rows, lists[0]))}" if lists else "rows: the path to the list, such as data.items"
    raise service.error(f"{what} to GET {answer.url} is {_kind(value)}, not a list of rows", hint)


def _at(body: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
    """The value at a path of a body, and whether it is there."""
    for name in path:
        if not isinstance(body, dict) or name not in body:
            return None, False
        body = body[name]
    return body, True


def _listed(body: Any, path: tuple[str, ...]) -> str:
    """What there is instead, at the first name of the path that is not."""
    way: tuple[str, ...] = ()
    for name in path:
        if not isinstance(body, dict):
            return f"{'.'.join(way) or 'the answer'} is {_kind(body)}"
        if name not in body:
            return did_you_mean(name, body) + (f" (in {'.'.join(way)})" if way else "")
        way, body = (*way, name), body[name]
    return ""


def _name(paging: Paging) -> str:
    return "the cursor" if paging.by == "cursor" else "the next page"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a text" if type(value) is str else "a number")
