"""Tokens with places, in both dialects, and what never ends."""

from __future__ import annotations

import pytest

from headrace.sql.tokens import NotSql, closing, split


def test_words_carry_their_place():
    words = split("SELECT `a b`,\n\t'x' -- c\nGROUP  BY ü")
    assert [(w.text, w.word, w.line, w.column, w.kind) for w in words] == [
        ("SELECT", "SELECT", 1, 1, "name"),
        ("a b", "", 1, 8, "name"),
        (",", ",", 1, 13, "sign"),
        ("x", "", 2, 2, "text"),
        ("GROUP BY", "GROUP", 3, 1, "sign"),
        ("ü", "Ü", 3, 11, "name"),
    ]


def test_a_double_quote_is_a_text_in_spark_and_a_name_in_flink():
    assert split('"x"')[0].kind == "text"
    assert split('"x"', "flink")[0].kind == "name"


@pytest.mark.parametrize(
    ("sql", "dialect", "place", "says"),
    [
        ("SELECT 'x", "spark", (1, 8), "the text is opened here and never closed\n  hint: close it with '"),
        ("SELECT\n  `x", "spark", (2, 3), "the name is opened here and never closed\n  hint: close it with `"),
        ("SELECT 1\n/* x", "flink", (2, 1), "the comment is opened here and never closed\n  hint: close it with */"),
        ("SELECT /* /* */ 1", "spark", (1, 8), "the comment is opened here and never closed\n  hint: close it with */"),
        ("SELECT 'a\\'", "spark", (1, 8), "the text is opened here and never closed\n  hint: close it with '"),
        ('SELECT "x', "flink", (1, 8), 'the name is opened here and never closed\n  hint: close it with "'),
    ],
)
def test_what_never_ends(sql: str, dialect: str, place: tuple[int, int], says: str):
    with pytest.raises(NotSql) as error:
        split(sql, dialect)
    assert (error.value.line, error.value.column) == place
    assert str(error.value) == f"  {says}"


def test_closing_pairs_parentheses():
    assert closing(split("(a (b) c")) == {0: 6, 2: 4}
