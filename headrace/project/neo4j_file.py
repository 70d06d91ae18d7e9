"""Reads the tables of a Neo4j source: which nodes or relationships, and by which property they are told to be new."""

from __future__ import annotations

import re

from headrace.errors import Place, Problem, did_you_mean
from headrace.project.contract import Contract
from headrace.project.located import Keys, Located
from headrace.project.neo4j import Pairs, Pattern
from headrace.project.source import Table

_KEYS = {"from", "watermark"}
_ENDS = {"start", "end"}
_GROWS = {"timestamp", "date", "integer", "number", "string"}
# Without a backslash: Cypher reads \u0060 as a backtick, also inside of quotes.
_NAME = r"(?:[^\W\d]\w*|`(?:[^`\\]|``)+`)"
_LABELS = rf"(?:\s*:\s*{_NAME})+"
_NODES = re.compile(rf"\s*(?:\((?P<inside>{_LABELS})\s*\)|(?P<bare>{_LABELS}))\s*")
_RELATIONSHIPS = re.compile(
    rf"\s*\((?P<start>(?:{_LABELS})?)\s*\)\s*-\s*\[\s*:\s*(?P<type>{_NAME})\s*\]\s*->\s*\((?P<end>(?:{_LABELS})?)\s*\)\s*"
)
_HINT = 'nodes: from: "(:Restaurant)"\nrelationships: from: "(:Customer)-[:FOLLOWS]->(:Restaurant)"'


def read_neo4j(doc: Located, table: str, source: str, contract: Contract, problems: list[Problem]) -> Table:
    """One table of a Neo4j source; its mistakes are added to `problems`, each at its line."""
    keys: Keys = ("tables", table)
    entry, at = doc.get(*keys), doc.place(*keys)
    named = isinstance(entry, dict)
    where: Keys = (*keys, "from") if named else keys
    origin = doc.text(where, problems)
    pattern = _pattern(origin, doc.place(*where), problems)
    watermark = ""
    if named:
        problems += doc.unknown(keys, _KEYS | _ENDS)
        watermark = _watermark(doc, (*keys, "watermark"), contract, problems)
    if pattern.type:
        start, end = (_end(doc, (*keys, side), contract, problems) for side in ("start", "end"))
        for column in dict(start).keys() & dict(end).keys():
            message = f"{column!r} can't be a column of both ends"
            problems.append(Problem(message, doc.place(*keys, "end", column), "such as from_id and to_id"))
        pattern = Pattern(pattern.labels, pattern.type, pattern.end_labels, start, end)
    elif pattern.labels:
        for side in sorted(_ENDS & (entry.keys() if isinstance(entry, dict) else set())):
            problems.append(Problem(f"nodes have no `{side}`", doc.place(*keys, side), "delete it"))
    return Table(table, source, origin, f"{source}.{table}", contract, at, watermark, neo4j=pattern)


def _pattern(text: str, at: Place, problems: list[Problem]) -> Pattern:
    if found := _NODES.fullmatch(text):
        return Pattern(_names(found["inside"] or found["bare"]))
    if found := _RELATIONSHIPS.fullmatch(text):
        (kind,) = _names(":" + found["type"])
        return Pattern(_names(found["start"]), kind, _names(found["end"]))
    message = f"{text!r} is no pattern of nodes or relationships" if text else "a table of a graph needs `from`"
    problems.append(Problem(message, at, _HINT))
    return Pattern(())


def _names(labels: str) -> tuple[str, ...]:
    """The names in a text such as :Person:`Night owl`, as the database has them."""
    found = re.findall(_NAME, labels)
    return tuple(name[1:-1].replace("``", "`") if name.startswith("`") else name for name in found)


def _watermark(doc: Located, keys: Keys, contract: Contract, problems: list[Problem]) -> str:
    column = doc.text(keys, problems)
    kind = {c.name: c.logical for c in contract.columns}.get(column, "")
    if column and not kind:
        hint = did_you_mean(column, contract.names)
        problems.append(Problem(f"no such column {column!r}", doc.place(*keys), hint))
    elif column and kind not in _GROWS:
        message = f"{column!r} is of type {kind}, which has no order"
        problems.append(Problem(message, doc.place(*keys), "the property that grows with every change"))
    return column


def _end(doc: Located, keys: Keys, contract: Contract, problems: list[Problem]) -> Pairs:
    """The columns that say which node a relationship starts or ends at: {column: property of that node}."""
    before = len(problems)
    found = []
    for column in doc.mapping(keys, problems):
        at, name = doc.place(*keys, str(column)), doc.text((*keys, column), problems)
        if column not in contract.names:
            problems.append(Problem(f"no such column {column!r}", at, did_you_mean(str(column), contract.names)))
        elif not name:
            problems.append(Problem(f"{column} needs the property that it shows", at, f"{column}: id"))
        found.append((str(column), name))
    if not found and len(problems) == before:
        message = f"relationships need `{keys[-1]}`: the columns that say which node they {keys[-1]} at"
        hint = f"{keys[-1]}: {{{'from_id' if keys[-1] == 'start' else 'to_id'}: id}}   column: property of that node"
        problems.append(Problem(message, doc.place(*keys), hint))
    return tuple(found)
