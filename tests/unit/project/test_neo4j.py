"""Patterns of Neo4j tables: what is read from them, and that nothing but names gets into a query."""

from __future__ import annotations

import pytest

from headrace.errors import Problem
from headrace.project import load
from headrace.project.neo4j import Pattern
from headrace.project.source import Table

FOLLOWS = '"(:Customer)-[:FOLLOWS]->(:Page)"'


@pytest.fixture
def table(folder):
    """table(entry) reads the table `visits` of a graph, whose entry in the file is this YAML."""

    def read(entry: str) -> Table:
        text = f"kind: neo4j\nconnection: {{local: true}}\ntables:\n  visits: {entry}\n"
        folder.write("lake/sources/site.yml", text)
        folder.write(
            "lake/sources/more.yml", "kind: postgresql\nconnection: {local: true}\ntables: {pages: public.p}\n"
        )
        project = load(folder.root)
        assert not project.problems, project.problems
        return project.tables["visits"]

    return read


@pytest.fixture
def problems(folder):
    """problems(entry) are the mistakes in such an entry."""

    def read(entry: str) -> list[Problem]:
        text = f"kind: neo4j\nconnection: {{local: true}}\ntables:\n  visits: {entry}\n"
        path = folder.write("lake/sources/site.yml", text)
        return [p for p in load(folder.root).problems if p.place and p.place.path == path]

    return read


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (":Visit", ("Visit",)),
        ("(:Visit)", ("Visit",)),
        ("( :Visit :Été2 )", ("Visit", "Été2")),
        ("(:`Odd ``name``, (:Visit)`)", ("Odd `name`, (:Visit)",)),
    ],
)
def test_nodes_by_their_labels(table, text, labels):
    read = table(f"{{from: '{text}', watermark: began_at}}")
    assert (read.neo4j, read.watermark, read.topic) == (Pattern(labels), "began_at", "site.visits")
    assert table(f"'{text}'").neo4j == Pattern(labels)


def test_relationships_say_which_nodes_they_join(table):
    read = table(f"{{from: {FOLLOWS}, start: {{id: number}}, end: {{page_id: id}}}}")
    assert read.neo4j == Pattern(("Customer",), "FOLLOWS", ("Page",), (("id", "number"),), (("page_id", "id"),))
    read = table("{from: '()-[:`A B`]->( :Page )', start: {id: number}, end: {page_id: id}}")
    assert read.neo4j == Pattern((), "A B", ("Page",), (("id", "number"),), (("page_id", "id"),))


@pytest.mark.parametrize(
    "text",
    [
        "Visit",
        "()",
        "(v:Visit)",
        "(:Visit {id: 1})",
        "(:Visit) WHERE true",
        "(:`Visit)",
        "(:`a`b`)",
        "(:2nd)",
        "(:Visit)-[:A|B]->(:Page)",
        "(:Visit)<-[:A]-(:Page)",
        "(:Visit)-[]->(:Page)",
        "(:`a\\u0060) DETACH DELETE n //`)",  # Cypher would read a backtick
    ],
)
def test_what_is_no_pattern_is_refused_with_both_forms(problems, text):
    (problem,) = problems(f"{{from: '{text}'}}")
    assert "is no pattern of nodes or relationships" in problem.message
    assert problem.hint.count("from:") == 2


@pytest.mark.parametrize(
    ("entry", "messages"),
    [
        ("", ["a table of a graph needs `from`"]),
        ("{watermark: began_at}", ["a table of a graph needs `from`"]),
        ("{from: ':Visit', watermark: began}", ["no such column 'began'"]),
        ("{from: ':Visit', since: began_at}", ["no such setting 'since'"]),
        ("{from: ':Visit', end: {page_id: id}}", ["nodes have no `end`"]),
        (f"{{from: {FOLLOWS}, start: {{id: id}}}}", ["relationships need `end`: the columns that say which node they "
                                                      "end at"]),
        (f"{{from: {FOLLOWS}, start: {{id: id}}, end: {{page: id}}}}", ["no such column 'page'"]),
        (f"{{from: {FOLLOWS}, start: {{id: id}}, end: {{id: id}}}}", ["'id' can't be a column of both ends"]),
        (f"{{from: {FOLLOWS}, start: {{id: id}}, end: page_id}}", ["end must be a mapping of names to values, "
                                                                    "not 'page_id'"]),
        (f"{{from: {FOLLOWS}, start: {{id: }}, end: {{page_id: id}}}}", ["id needs the property that it shows"]),
    ],
)  # fmt: skip
def test_mistakes_of_a_table(problems, entry, messages):
    assert [p.message for p in problems(entry)] == messages
    assert all(p.place.line == 4 for p in problems(entry))
