"""What a Neo4j graph says of its properties and constraints, as columns of a contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.project import Column
from headrace.project.found import FoundColumn

# Type of a property, as db.schema says it, without spaces and in small letters → logical type of a contract.
_LOGICAL = {
    **dict.fromkeys(("string", "time", "localtime", "zonedtime", "duration", "bytearray"), "string"),
    **dict.fromkeys(("long", "integer", "int", "short", "byte"), "integer"),
    **dict.fromkeys(("double", "float"), "number"),
    **dict.fromkeys(("datetime", "zoneddatetime", "localdatetime"), "timestamp"),
    "boolean": "boolean", "date": "date", "point": "object",
}  # fmt: skip
_PLAIN = re.compile(r"[^\W\d]\w*")
_KEYS = ("NODE_KEY", "RELATIONSHIP_KEY")


@dataclass(frozen=True)
class Constraint:
    """One constraint of a label, or of a type of relationships, in Neo4j's words."""

    type: str
    of: str
    properties: tuple[str, ...]


@dataclass
class Seen:
    """A property: the types that its values have, and whether every node or relationship has one."""

    types: set[str] = field(default_factory=set)
    always: bool = True

    @property
    def logical(self) -> str:
        kinds = {_logical(name) for name in self.types}
        if kinds <= {"integer", "number"} and len(kinds) == 2:
            return "number"
        return kinds.pop() if len(kinds) == 1 else "string"

    @property
    def mixed(self) -> bool:
        kinds = {_logical(name) for name in self.types}
        return len(kinds) > 1 and not kinds <= {"integer", "number"}


class Schema:
    """Labels and types with their properties, from the rows of db.schema's procedures, and the constraints."""

    def __init__(
        self,
        nodes: Iterable[Mapping[str, Any]],
        relationships: Iterable[Mapping[str, Any]],
        constraints: Iterable[Constraint] = (),
    ) -> None:
        self._nodes: dict[tuple[str, ...], dict[str, Seen]] = {}  # labels that nodes have together → properties
        self._types: dict[str, dict[str, Seen]] = {}
        self._constraints = tuple(constraints)
        for row in nodes:
            _add(self._nodes.setdefault(tuple(sorted(row["nodeLabels"])), {}), row)
        for row in relationships:
            _add(self._types.setdefault(row["relType"].removeprefix(":").strip("`"), {}), row)

    @property
    def labels(self) -> list[str]:
        return sorted({label for together in self._nodes for label in together})

    @property
    def types(self) -> list[str]:
        return sorted(self._types)

    def properties(self, kind: str, relationships: bool = False) -> dict[str, Seen]:
        """The properties of a label's nodes, whatever other labels they have; or of a type of relationships."""
        if relationships:
            return self._types[kind]
        among = [properties for together, properties in self._nodes.items() if kind in together]
        found: dict[str, Seen] = {}
        for name in dict.fromkeys(name for properties in among for name in properties):
            seen = [properties[name] for properties in among if name in properties]
            always = len(seen) == len(among) and all(one.always for one in seen)
            found[name] = Seen({kind for one in seen for kind in one.types}, always)
        return found

    def unique(self, kind: str) -> list[Constraint]:
        """Constraints that tell the nodes of a label apart; the surest first."""
        nodes = [c for c in self._constraints if c.of == kind and not c.type.startswith("RELATIONSHIP")]
        found = [c for c in nodes if c.type in _KEYS or c.type.endswith("UNIQUENESS")]
        return sorted(found, key=lambda c: (c.type not in _KEYS, len(c.properties), c.properties))

    def must(self, kind: str, name: str) -> bool:
        """Whether a constraint says that the property is never missing."""
        sure = [c for c in self._constraints if c.of == kind and (c.type in _KEYS or c.type.endswith("EXISTENCE"))]
        return any(name in c.properties for c in sure)

    def wider(self, label: str) -> str:
        """A label that all nodes of this one have too, where this one has no key of its own; else ''."""
        if self.unique(label):
            return ""
        mine = self._with(label)
        for other in self.labels:
            theirs = self._with(other)
            if other != label and mine <= theirs and (mine != theirs or self.unique(other) or other < label):
                return other
        return ""

    def spread(self, label: str) -> int:
        """With how many sets of labels it comes: a wide label names more nodes than a narrow one."""
        return len(self._with(label))

    def _with(self, label: str) -> set[tuple[str, ...]]:
        return {together for together in self._nodes if label in together}


def column(name: str, seen: Seen, key: bool = False, required: bool = False) -> FoundColumn:
    """A property as a column."""
    note = f"Values of several kinds ({', '.join(sorted(seen.types))}): not all fit" if seen.mixed else ""
    physical = " | ".join(sorted(seen.types))
    return FoundColumn(Column(name, seen.logical, required=required or key, key=key), physical, note=note)


def ends(
    start: str, start_key: Iterable[str], end: str, end_key: Iterable[str], own: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Names of the columns that say which nodes are joined → properties of those; none is called as one of `own`."""
    taken = {name.lower() for name in own}
    found: list[dict[str, str]] = []
    for side, label, key in (("from", start, start_key), ("to", end, end_key)):
        columns: dict[str, str] = {}
        for name in key:
            word = side if start == end else _snake(label)
            made = _snake(name)
            made = made if start != end and made.startswith(f"{word}_") else f"{word}_{made}"
            made = made if made not in taken else f"{side}_{made}"
            while made in taken:
                made += "_"
            taken.add(made)
            columns[made] = name
        found.append(columns)
    return found[0], found[1]


def pattern(label: str) -> str:
    """A label as a source's file says it: (:Restaurant); () of no label."""
    if not label:
        return "()"
    quoted = label.replace("`", "``")
    return f"(:{label})" if _PLAIN.fullmatch(label) else f"(:`{quoted}`)"


def _add(properties: dict[str, Seen], row: Mapping[str, Any]) -> None:
    if row["propertyName"] is None:  # nodes that have none
        return
    seen = properties.setdefault(row["propertyName"], Seen())
    seen.types |= set(row["propertyTypes"] or ())
    seen.always = seen.always and bool(row["mandatory"])


def _logical(type: str) -> str:
    plain = re.sub(r"not null|\s", "", type.lower())
    if plain.startswith("list<") or (plain.endswith("array") and plain != "bytearray"):
        return "array"
    return _LOGICAL.get(plain, "string")


def _snake(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = re.sub(r"[^a-z0-9]+", "_", spaced).strip("_")
    return plain if plain[:1].isalpha() else f"n_{plain}".rstrip("_")
