"""Asks a Neo4j graph for its labels and types of relationships, and proposes a table for each.

A graph declares little: its properties are looked up (db.schema), keys are its constraints, and else a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, LiteralString, cast
from urllib.parse import urlsplit

from neo4j import Transaction
from neo4j.exceptions import AuthError, DriverError, Forbidden, Neo4jError

from headrace.errors import HeadraceError
from headrace.project import guess
from headrace.project.found import FoundColumn, FoundSource, FoundTable
from headrace.pulls import neo4j
from headrace.pulls.neo4j_query import labels as quoted
from headrace.sources import infer
from headrace.sources.asked import Asked
from headrace.sources.graph_schema import Constraint, Schema, column, ends, pattern

_LOOKED = 100_000  # nodes or relationships of a kind that are looked at to tell a key
_KEYS = 8  # properties that are tried as one
_HINT = "neo4j://user:${PASSWORD}@host:7687/neo4j"
_DELETED = "what is deleted in the graph stays in its current tables: pulls do not see it"


def graph(asked: Asked) -> FoundSource:
    """A table per label, and per type of relationships. Raises HeadraceError when it can't be asked or is empty."""
    url = asked.project.addresses.source(asked.source)
    if not urlsplit(url).hostname:
        raise HeadraceError("the address names no host", hint=_HINT)
    connection = {"local": True} if asked.local else {"url": asked.url}
    about = f"The {asked.name} service's graph: nodes by label, relationships by type, pulled."
    try:
        constraints = _constraints(url)
        with neo4j.transaction(url) as opened:
            nodes = [record.data() for record in opened.run("CALL db.schema.nodeTypeProperties()")]
            types = [record.data() for record in opened.run("CALL db.schema.relTypeProperties()")]
            found = tuple(_Graph(asked, opened, Schema(nodes, types, constraints)).tables())
    except (AuthError, Forbidden) as error:
        hint = "is the user right, and the secret in the environment?"
        raise HeadraceError(f"{asked.name}: the graph refuses us: {neo4j.said(error)}", hint=hint) from None
    except (DriverError, Neo4jError) as error:
        hint = "is it running, and are host, port and database right?"
        raise HeadraceError(f"{asked.name}: the graph can't be asked: {neo4j.said(error)}", hint=hint) from None
    if not found:
        hint = "tables are told from what is there: ask again when it has its first nodes, each with a label"
        raise HeadraceError(f"{asked.name}: the graph is empty", hint=hint)
    return FoundSource("neo4j", connection, about, found, (_DELETED,))


def _constraints(url: str) -> tuple[Constraint, ...]:
    """None where the user may not see them: keys are guessed then. A refused statement ends its transaction."""
    try:
        with neo4j.transaction(url) as opened:
            rows = [record.data() for record in opened.run("SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties")]
    except Forbidden:
        return ()
    return tuple(Constraint(r["type"], r["labelsOrTypes"][0], tuple(r["properties"])) for r in rows)


class _Graph:
    """One graph while it is asked."""

    def __init__(self, asked: Asked, opened: Transaction, schema: Schema) -> None:
        self.asked, self.opened, self.schema = asked, opened, schema
        self._keys: dict[str, tuple[tuple[str, ...], str]] = {}

    def tables(self) -> Iterator[FoundTable]:
        for label in self.schema.labels:
            found = FoundTable(label, pattern(label))
            if not self.asked.wants(found.name, found.origin):
                yield found  # its name is all that is asked for
            elif "\\" in label:
                yield replace(found, skip="its name has a backslash")
            elif (wider := self.schema.wider(label)) and not self.asked.tables:
                yield replace(found, skip=f"all its nodes are also {pattern(wider)}: take it with --table")
            else:
                yield self._nodes(found)
        for kind in self.schema.types:
            pairs = self._pairs(kind)
            for start, end in pairs:
                name = kind if len(pairs) == 1 else f"{start}_{kind}_{end}"
                found = FoundTable(name, f"{pattern(start)}-[{pattern(kind)[1:-1]}]->{pattern(end)}")
                wanted = self.asked.wants(name, kind, found.origin)
                yield self._relationships(found, start, kind, end) if wanted else found

    def _nodes(self, found: FoundTable) -> FoundTable:
        label = found.name
        key, note = self._key(label)
        if not key:
            hint = f"CREATE CONSTRAINT FOR (n{quoted((label,))}) REQUIRE n.… IS UNIQUE"
            return replace(found, skip=f"nothing tells its nodes apart: {hint}")
        columns = []
        for name, seen in self.schema.properties(label).items():
            made = column(name, seen, key=name in key, required=self.schema.must(label, name))
            unique = (name,) != key and (name,) in {c.properties for c in self.schema.unique(label)}
            columns.append(replace(made, unique=unique, note=note if name == key[0] and note else made.note))
        return self._made(found, label, columns, {})

    def _made(
        self, found: FoundTable, kind: str, columns: list[FoundColumn], settings: dict[str, Any], ends: int = 0
    ) -> FoundTable:
        """With a watermark where there is a property for it that every row has."""
        seen = self.schema.properties(kind, bool(settings))
        always = [c.column for c in columns[ends:] if c.name in seen and seen[c.name].always]
        if watermark := guess.event_time(always, "cdc"):
            settings = {"watermark": watermark} | settings
            note = f"pulled by {watermark}: by its name every change sets it"
            found = replace(found, notes=(note,))
        return replace(found, columns=tuple(columns), settings=settings)

    def _key(self, label: str) -> tuple[tuple[str, ...], str]:
        """The properties that tell a label's nodes apart, and the note when that is a guess; () when none do."""
        if label not in self._keys:
            self._keys[label] = self._find_key(label)
        return self._keys[label]

    def _find_key(self, label: str) -> tuple[tuple[str, ...], str]:
        seen = self.schema.properties(label)
        for constraint in self.schema.unique(label):
            if all(name in seen and seen[name].always for name in constraint.properties):
                return constraint.properties, ""
        able = [n for n, s in seen.items() if s.always and s.logical in infer.IN_KEY]
        question = f"MATCH (n{quoted((label,))}) WITH n LIMIT {_LOOKED}"
        for name in sorted(able, key=infer.unlike_key)[:_KEYS]:
            rows, apart = self._count(f"{question} RETURN count(*), count(DISTINCT n[$own])", own=name)
            if rows == apart:
                return (name,), f"A guess: {name} told the {rows} nodes apart that were looked at"
        return (), ""

    def _pairs(self, kind: str) -> list[tuple[str, str]]:
        """The labels of the nodes that a type of relationships joins, of each end the one that names most of them."""
        question = f"MATCH (s)-[{quoted((kind,))}]->(e) WITH s, e LIMIT {_LOOKED}"
        records = self._run(f"{question} RETURN DISTINCT labels(s) AS s, labels(e) AS e")
        return sorted({(self._main(record["s"]), self._main(record["e"])) for record in records})

    def _main(self, labels: list[str]) -> str:
        known = [label for label in labels if "\\" not in label and self._key(label)[0]]
        return min(known, key=lambda label: (-self.schema.spread(label), label), default="")

    def _relationships(self, found: FoundTable, start: str, kind: str, end: str) -> FoundTable:
        if "\\" in kind:
            return replace(found, skip="its name has a backslash")
        if not (start and end):
            return replace(found, skip="it joins nodes that nothing tells apart")
        own = self.schema.properties(kind, relationships=True)
        sides = ends(start, self._key(start)[0], end, self._key(end)[0], own)
        key, note = self._apart(start, kind, end)
        if note == "":
            return replace(found, skip="nothing tells those apart that join the same two nodes")
        columns = []
        for side, label in zip(sides, (start, end), strict=True):
            seen = self.schema.properties(label)
            columns += [column(name, seen[of], key=True) for name, of in side.items()]
        columns[0] = replace(columns[0], note=note)
        count = len(columns)
        for name, seen in own.items():
            columns.append(column(name, seen, key=name in key, required=self.schema.must(kind, name)))
        return self._made(found, kind, columns, {"start": sides[0], "end": sides[1]}, count)

    def _apart(self, start: str, kind: str, end: str) -> tuple[tuple[str, ...], str]:
        """The properties that tell relationships apart beside their nodes, and the note; an empty one: none do."""
        own = self.schema.properties(kind, relationships=True)
        able = [n for n, s in own.items() if s.always and s.logical in {*infer.IN_KEY, "timestamp"}]
        question = f"MATCH (s{quoted((start,))})-[r{quoted((kind,))}]->(e{quoted((end,))}) WITH s, r, e LIMIT {_LOOKED}"
        apart = "[k IN $s | s[k]] + [k IN $e | e[k]] + [k IN $own | r[k]]"
        known = {"s": list(self._key(start)[0]), "e": list(self._key(end)[0])}
        for names in [(), *((n,) for n in sorted(able, key=infer.unlike_key)[:_KEYS])]:
            rows, distinct = self._count(
                f"{question} RETURN count(*), count(DISTINCT {apart})", own=list(names), **known
            )
            if rows == distinct:
                by = " and ".join(["their nodes", *names])
                return names, f"A guess: {by} told the {rows} relationships apart that were looked at"
        return (), ""

    def _count(self, question: str, **values: Any) -> tuple[int, int]:
        ((rows, distinct),) = (record.values() for record in self._run(question, **values))
        return rows, distinct

    def _run(self, question: str, **values: Any) -> Any:
        # The names in it are quoted, so it is as safe as a literal.
        return self.opened.run(cast("LiteralString", question), values)
