"""Reads the tables of a REST source: the path, where the rows are in the answer, and how to ask for all of them."""

from __future__ import annotations

from headrace.errors import Problem, did_you_mean
from headrace.project.connection import pairs
from headrace.project.contract import Contract
from headrace.project.located import Keys, Located
from headrace.project.rest import MOST_PAGES, PAGING, Paging, Rest

_KEYS = {"path", "rows", "page", "since", "parameters"}
_GROWS = {"timestamp", "date", "integer", "number", "string"}
_PAGE_HINT = "page: {by: number, parameter: page, size_parameter: per_page, size: 100}"
_SINCE_HINT = "since: {parameter: updated_since, column: updated_at}"


def read_rest(doc: Located, table: str, contract: Contract, problems: list[Problem]) -> Rest:
    """The requests of one table; its mistakes are added to `problems`, each at its line."""
    keys: Keys = ("tables", table)
    entry = doc.get(*keys)
    if not isinstance(entry, dict):
        return Rest(_path(doc, keys, f"/{table}", problems))
    problems += doc.unknown(keys, _KEYS)
    column, parameter = _since(doc, (*keys, "since"), contract, problems)
    return Rest(
        path=_path(doc, (*keys, "path"), f"/{table}", problems),
        rows=_inside(doc, (*keys, "rows"), problems),
        paging=_paging(doc, (*keys, "page"), problems),
        parameters=pairs(doc, (*keys, "parameters"), problems),
        since_parameter=parameter,
        since_column=column,
    )


def _path(doc: Located, keys: Keys, default: str, problems: list[Problem]) -> str:
    path, at = doc.text(keys, problems, default), doc.place(*keys)
    if "://" in path or path.startswith("//"):
        problems.append(
            Problem(f"{path!r} is an address of its own", at, "a path below connection.url, such as /orders")
        )
    elif "?" in path or "#" in path or not path.isprintable() or " " in path:
        problems.append(
            Problem(f"{path!r} is not a path", at, "what stands behind the ? goes to parameters: {status: paid}")
        )
    return path


def _inside(doc: Located, keys: Keys, problems: list[Problem]) -> tuple[str, ...]:
    """A path in the body of an answer, such as data.items."""
    text = doc.text(keys, problems)
    names = tuple(text.split(".")) if text else ()
    if not all(name.strip() == name and name for name in names):
        problems.append(Problem(f"{text!r} is not a path in an answer", doc.place(*keys), "such as data.items"))
    return names


def _since(doc: Located, keys: Keys, contract: Contract, problems: list[Problem]) -> tuple[str, str]:
    if not doc.mapping(keys, problems):
        if doc.get(*keys) == {}:
            problems.append(Problem("`since` is empty", doc.place(*keys), _SINCE_HINT))
        return "", ""
    problems += doc.unknown(keys, {"parameter", "column"})
    parameter, column = doc.text((*keys, "parameter"), problems), doc.text((*keys, "column"), problems)
    if not parameter:
        problems.append(Problem("`since` needs the name of its parameter", doc.place(*keys), _SINCE_HINT))
    kind = {c.name: c.logical for c in contract.columns}.get(column)
    if not column:
        hint = f"the column that grows with every change: {', '.join(contract.names)}"
        problems.append(Problem("`since` needs a `column`", doc.place(*keys), hint))
    elif kind is None:
        hint = did_you_mean(column, contract.names)
        problems.append(Problem(f"no such column {column!r}", doc.place(*keys, "column"), hint))
    elif kind not in _GROWS:
        message = f"{column!r} is of type {kind}, which has no order"
        problems.append(Problem(message, doc.place(*keys, "column"), "the column that grows with every change"))
    return column, parameter


def _paging(doc: Located, keys: Keys, problems: list[Problem]) -> Paging:
    page = doc.get(*keys)
    if page is None:
        return Paging()
    by, at = doc.text((*keys, "by"), problems) if isinstance(page, dict) else "", doc.place(*keys)
    if by not in PAGING:
        message = f"no way of paging is called {by!r}" if by else "`page` needs `by`: how one page leads to the next"
        hint = did_you_mean(by, PAGING) if by else _PAGE_HINT + f"\nby: {', '.join(PAGING)}"
        problems.append(Problem(message, doc.place(*keys, "by"), hint))
        return Paging()
    problems += doc.unknown(keys, PAGING[by] | {"by", "most"})
    default = {"number": "page", "offset": "offset"}.get(by, "")
    found = Paging(
        by=by,
        parameter=doc.text((*keys, "parameter"), problems, default),
        size_parameter=doc.text((*keys, "size_parameter"), problems),
        size=_whole(doc, (*keys, "size"), problems, 0, 1),
        first=_whole(doc, (*keys, "first"), problems, 1, 0),
        cursor=_inside(doc, (*keys, "from"), problems),
        most=_whole(doc, (*keys, "most"), problems, MOST_PAGES, 1),
    )
    if bool(found.size) != bool(found.size_parameter):
        lacks = "size_parameter" if found.size else "size"
        problems.append(Problem(f"`page` needs `{lacks}` too", at, "such as size_parameter: limit, size: 100"))
    if by == "cursor" and not found.cursor:
        hint = "the path in the body: page: {by: cursor, parameter: cursor, from: meta.next}"
        problems.append(Problem("a cursor needs `from`: where the answer has it", at, hint))
    return found


def _whole(doc: Located, keys: Keys, problems: list[Problem], default: int, least: int) -> int:
    value = doc.get(*keys)
    if value is None:
        return default
    if type(value) is int and value >= least:
        return value
    problems.append(Problem(f"{keys[-1]} must be a whole number from {least} on, not {value!r}", doc.place(*keys)))
    return default
