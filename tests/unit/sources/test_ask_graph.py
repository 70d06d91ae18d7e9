"""What a graph and a Cassandra cluster say of themselves, as columns of a contract. Their words are written down here;
that they are theirs, tests/engine/ingest/test_neo4j.py and test_cassandra.py show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.project import load
from headrace.project.found import FoundTable
from headrace.pulls import neo4j
from headrace.sources.ask import ask
from headrace.sources.ask_cassandra import described
from headrace.sources.graph_schema import Constraint, Schema, column, ends, pattern


def row(labels: str, name: str | None, *types: str, mandatory: bool = True) -> dict[str, Any]:
    return {"nodeLabels": labels.split(), "propertyName": name, "propertyTypes": types, "mandatory": mandatory}


PLACES = [
    row("Place", "id", "Long"),
    row("Place", "name", "String", mandatory=False),
    row("Open Place", "id", "Long"),
    row("Open Place", "name", "String"),
    row("Open Place", "since", "Date"),
    row("Tag", None),
]


def test_the_properties_of_a_label_are_those_of_all_its_nodes() -> None:
    schema = Schema(PLACES, [], [])
    assert schema.labels == ["Open", "Place", "Tag"]
    assert {n: s.always for n, s in schema.properties("Place").items()} == {"id": True, "name": False, "since": False}
    assert {n: s.always for n, s in schema.properties("Open").items()} == {"id": True, "name": True, "since": True}
    assert schema.properties("Tag") == {}
    assert (schema.wider("Open"), schema.wider("Place"), schema.spread("Place")) == ("Place", "", 2)


def test_constraints_are_keys_the_surest_first_and_say_what_must_be_there() -> None:
    constraints = [
        Constraint("UNIQUENESS", "Open", ("name",)),
        Constraint("NODE_KEY", "Open", ("id", "since")),
        Constraint("NODE_PROPERTY_EXISTENCE", "Place", ("name",)),
        Constraint("RELATIONSHIP_UNIQUENESS", "Place", ("id",)),
    ]
    schema = Schema(PLACES, [], constraints)
    assert [c.properties for c in schema.unique("Open")] == [("id", "since"), ("name",)]
    assert schema.unique("Place") == []
    assert schema.wider("Open") == ""  # it has a key of its own
    assert [schema.must("Open", name) for name in ("id", "since", "name")] == [True, True, False]
    assert schema.must("Place", "name")


@pytest.mark.parametrize(
    ("types", "logical", "mixed"),
    [
        (["Long"], "integer", False),
        (["Long", "Double"], "number", False),
        (["INTEGER NOT NULL"], "integer", False),
        (["ZONED DATETIME"], "timestamp", False),
        (["DateTime", "LocalDateTime"], "timestamp", False),
        (["StringArray"], "array", False),
        (["LIST<STRING NOT NULL>"], "array", False),
        (["Point"], "object", False),
        (["Duration"], "string", False),
        (["Long", "String"], "string", True),
    ],
)
def test_types_of_properties(types: list[str], logical: str, mixed: bool) -> None:
    schema = Schema([row("A", "v", *types)], [])
    found = column("v", schema.properties("A")["v"])
    assert (found.column.logical, "several kinds" in found.note) == (logical, mixed)


def test_the_columns_of_both_ends_have_names_of_their_own() -> None:
    assert ends("Guest", ["id"], "Place", ["code"], ["since"]) == ({"guest_id": "id"}, {"place_code": "code"})
    assert ends("Guest", ["id"], "Guest", ["id"], []) == ({"from_id": "id"}, {"to_id": "id"})
    assert ends("NightOwl", ["night_owl_id"], "A", ["x"], []) == ({"night_owl_id": "night_owl_id"}, {"a_x": "x"})
    assert ends("Guest", ["id"], "Place", ["id"], ["Guest_id"]) == ({"from_guest_id": "id"}, {"place_id": "id"})


def test_a_pattern_is_quoted_where_it_must_be() -> None:
    assert (pattern("Place"), pattern("Odd `tag"), pattern("")) == ("(:Place)", "(:`Odd ``tag`)", "()")


def cassandra_table(key: list[str], types: dict[str, str], **options: Any) -> Any:
    columns = {name: SimpleNamespace(name=name, cql_type=kind) for name, kind in types.items()}
    return SimpleNamespace(columns=columns, primary_key=[columns[name] for name in key], options=options)


def test_a_table_of_cassandra_is_described() -> None:
    types = {
        "region": "text", "id": "uuid", "n": "varint", "sum": "decimal", "tags": "frozen<set<text>>", "at": "timestamp",
        "day": "date", "parts": "map<text, int>", "home": "frozen<place>", "hits": "counter", "raw": "blob",
        "odd": "'org.example.Type'", "open": "boolean", "weight": "double", "v": "vector<float, 3>",
    }  # fmt: skip
    table = cassandra_table(["region", "id"], types, default_time_to_live=60)
    found = described(FoundTable("visits", "shop.visits"), table, {"place"})
    assert {c.name: c.column.logical for c in found.columns} == {
        "region": "string", "id": "string", "n": "integer", "sum": "string", "tags": "array", "at": "timestamp",
        "day": "date", "parts": "object", "home": "object", "hits": "integer", "raw": "string", "open": "boolean",
        "weight": "number", "v": "array",
    }  # fmt: skip
    assert [c.name for c in found.columns if c.column.key and c.column.required] == ["region", "id"]
    assert found.left_out == (("odd", "values of type 'org.example.Type' are not carried"),)
    assert found.notes == ("its rows vanish 60 s after they were written: each comes as a deletion",)
    lost = described(FoundTable("odd", "shop.odd"), cassandra_table(["odd"], types), set())
    assert lost.skip == "its key can't be carried: odd"


def test_an_empty_graph_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph is a mock: that of the engine tests is one for all of them, and never empty for long."""

    @contextmanager
    def empty(url: str) -> Iterator[Any]:
        yield SimpleNamespace(run=lambda *_: [])

    monkeypatch.setattr(neo4j, "transaction", empty)
    (tmp_path / "headrace.yml").write_text("name: site\n")
    with pytest.raises(HeadraceError, match="the graph is empty"):
        ask(load(tmp_path), "shop", "bolt://db:7687")
