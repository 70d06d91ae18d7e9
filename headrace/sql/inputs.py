"""Which tables a job's SQL reads, found from its tokens: the same for Spark's and for Flink's dialect.

sqlglot has no Flink grammar (HOP(TABLE t, …), MATCH_RECOGNIZE with MEASURES …), but its tokenizer reads both, and the
names after FROM, JOIN and TABLE are all that is asked here.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.sql.tokens import Word, closing, split

# FROM inside these is part of a function call, not of a query.
_FROM_IN_CALL = {"EXTRACT", "TRIM", "BTRIM", "LTRIM", "RTRIM", "SUBSTRING", "SUBSTR", "OVERLAY"}
_NOT_TABLES = {"LATERAL", "UNNEST", "VALUES", "TABLE", "EACH"}
_END_OF_FROM = set(
    (
        "WHERE GROUP HAVING ORDER SORT CLUSTER DISTRIBUTE SELECT UNION INTERSECT EXCEPT MINUS WINDOW LIMIT QUALIFY VIEW"
    ).split()
)
_QUERY = {"SELECT", "WITH", "VALUES", "FROM"}


@dataclass(frozen=True)
class TableName:
    """A table named in a query, with where it stands; line and column count from 1."""

    name: str
    line: int
    column: int


@dataclass(frozen=True)
class CommonTable:
    """A name that WITH gives to a query, and the tokens between which it hides a table of that name."""

    name: str
    body: tuple[int, int]
    visible: tuple[int, int]

    def hides(self, name: str, index: int) -> bool:
        return name.lower() == self.name.lower() and self.visible[0] < index < self.visible[1]


def tables_read(sql: str, dialect: str = "spark") -> tuple[TableName, ...]:
    """The tables a query names after FROM, JOIN or TABLE, without its common table expressions, each once, in order.

    A name with dots (schema.table) is given whole. Raises NotSql when the text can't be split into tokens.
    """
    words = split(sql, dialect)
    found: dict[str, TableName] = {}
    for name, index, _ in references(words):
        found.setdefault(name, TableName(name, words[index].line, words[index].column))
    return tuple(found.values())


def references(words: list[Word]) -> list[tuple[str, int, int]]:
    """Each place where a query names a table: the name, the index of its first token and the index behind it."""
    own = common_tables(words)
    found: list[tuple[str, int, int]] = []
    calls: list[str] = []
    listing = [False]  # per open parenthesis: inside a FROM list, where a comma starts another table
    expect = False
    for index, token in enumerate(words):
        word = token.word
        before = words[index - 1].word if index else ""
        after = words[index + 1].word if index + 1 < len(words) else ""
        if word == "(":
            joined = expect and after not in _QUERY and after != "("  # FROM (a JOIN b …)
            calls.append(before)
            listing.append(joined)
            expect = joined or (before == "TABLE" and _word(words, index + 2) == ")")  # f(TABLE(orders))
        elif word == ")":
            if calls:
                calls.pop()
                listing.pop()
            expect = False
        elif before == ".":
            continue
        elif word == "JOIN" or (word == "FROM" and not (calls and calls[-1] in _FROM_IN_CALL) and before != "DISTINCT"):
            expect, listing[-1] = True, True
        elif word == "TABLE" and (calls or index == 0) and before != "LATERAL":
            expect = after != "("
        elif word == "," and listing[-1]:
            expect = True
        elif word in _END_OF_FROM:
            expect, listing[-1] = False, False
        elif expect:
            expect = False
            if word in _NOT_TABLES or not token.is_name:
                continue
            name, end = _dotted(words, index)
            if _word(words, end) != "(" and not any(c.hides(name, index) for c in own):
                found.append((name, index, end))
    return found


def common_tables(words: list[Word]) -> list[CommonTable]:
    """The common table expressions of a query, in the order of their ends."""
    pairs = closing(words)
    found = []
    for index, token in enumerate(words):
        if token.word != "WITH" or (index and words[index - 1].word == "."):
            continue
        enclosing = [end for start, end in pairs.items() if start < index < end]
        scope_end = min(enclosing, default=len(words))
        at = index + 1
        recursive = _word(words, at) == "RECURSIVE"
        at += recursive
        while at < len(words) and words[at].is_name:
            name = words[at].text
            at += 1
            if _word(words, at) == "(":  # names of its columns
                at = pairs[at] + 1
            while _word(words, at) not in {"AS", "(", ""}:  # MAX RECURSION LEVEL 5
                at += 1
            at += _word(words, at) == "AS"
            while _word(words, at) in {"NOT", "MATERIALIZED"}:
                at += 1
            if _word(words, at) != "(":
                break
            body = (at, pairs[at])
            found.append(CommonTable(name, body, (body[0] if recursive else body[1], scope_end)))
            at = pairs[at] + 1
            if _word(words, at) != ",":
                break
            at += 1
    return found


def _dotted(words: list[Word], index: int) -> tuple[str, int]:
    """A name with all its dots, and the index behind it."""
    name, end = words[index].text, index + 1
    while _word(words, end) == "." and end + 1 < len(words) and words[end + 1].is_name:
        name += f".{words[end + 1].text}"
        end += 2
    return name, end


def _word(words: list[Word], index: int) -> str:
    return words[index].word if index < len(words) else ""
