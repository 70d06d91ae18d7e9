"""What a graph is asked for one table. Names of labels are quoted; all others, and all values, are parameters."""

from __future__ import annotations

from typing import Any, LiteralString, cast

from headrace.project.neo4j import Pattern

# Type of the watermark's column → which values have a place in its order, the last pull's place from its text, and the
# place of a value `v`. Neo4j's order of moments looks at zones too (10:00 in Zurich is not 09:00Z), so all are made Z.
# NaN has no place: nothing is smaller or greater.
_PLACES = {
    "timestamp": ("ZONED DATETIME | LOCAL DATETIME", "datetime($last)", "datetime({datetime: v, timezone: 'Z'})"),
    "date": ("DATE", "date($last)", "v"),
    "integer": ("INTEGER", "toInteger($last)", "v"),
    "number": ("INTEGER | FLOAT", "toFloat($last)", "CASE WHEN v = v THEN v END"),
    "string": ("STRING", "$last", "v"),
}


def query(
    pattern: Pattern, watermark: str = "", kind: str = "", last: str | None = None
) -> tuple[LiteralString, dict[str, Any]]:
    """The query of a table, and its parameters. Records have id, properties, start, end (values of the ends) and place.

    With a watermark of the contract's type `kind`: what has its place at or above `last`, in order of it, and behind
    that everything that has none (the property is missing or of another type): place is null there.
    """
    parameters: dict[str, Any] = {name: [p for _, p in end] for name, end in (("s", pattern.start), ("e", pattern.end))}
    if pattern.type:
        match, names = (
            f"(s{labels(pattern.labels)})-[n{labels((pattern.type,))}]->(e{labels(pattern.end_labels)})",
            "n, s, e",
        )
    else:
        match, names = f"(n{labels(pattern.labels)})", "n"
    ends = "[k IN $s | s[k]] AS start, [k IN $e | e[k]] AS end" if pattern.type else "[] AS start, [] AS end"
    order, place = "", "null"
    if watermark:
        fits, since, made = _PLACES[kind]
        parameters |= {"watermark": watermark} | ({} if last is None else {"last": last})
        above = "" if last is None else f" WHERE place IS NULL OR place >= {since}"
        order = (
            f" WITH {names}, n[$watermark] AS v"
            f" WITH {names}, CASE WHEN v IS NOT NULL AND v IS :: {fits} THEN {made} END AS place"
            f"{above}"
            f" WITH {names}, place ORDER BY place"  # before the properties are read, which would take more memory
        )
        place = "place"
    result = f" RETURN elementId(n) AS id, properties(n) AS properties, {ends}, {place} AS place"
    # The names in it are quoted, so it is as safe as a literal.
    return cast("LiteralString", f"MATCH {match}{order}{result}"), parameters


def expected(kind: str) -> str:
    """The database's types that a watermark of the contract's type `kind` may have, for people."""
    return _PLACES[kind][0].replace(" | ", " or ")


def labels(names: tuple[str, ...]) -> str:
    """Labels, or a type, as Cypher takes them; no name can end its quotes (neo4j_file.py refuses a backslash)."""
    return "".join(f":`{name.replace('`', '``')}`" for name in names)
