"""Which tables a job's SQL reads, found from its tokens: the same for Spark's and for Flink's dialect.

sqlglot has no Flink grammar (HOP(TABLE t, …), MATCH_RECOGNIZE with MEASURES …), but its tokenizer reads both, and the
names after FROM, JOIN and TABLE are all that is asked here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType
from sqlglot.tokens import Tokenizer

from headrace.errors import HeadraceError

# FROM inside these is part of a function call, not of a query.
_FROM_IN_CALL = {"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY"}
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER}
_NOT_TABLES = {"LATERAL", "UNNEST", "VALUES", "TABLE"}


@dataclass(frozen=True)
class TableName:
    """A table named in a query, with where it stands; line and column count from 1."""

    name: str
    line: int
    column: int


def tables_read(sql: str) -> tuple[TableName, ...]:
    """The tables a query names after FROM, JOIN or TABLE, without its common table expressions, each once, in order.

    Raises HeadraceError when the text cannot even be split into tokens (an open quote, for example).
    """
    tokens = split(sql)
    own = _common_table_expressions(tokens)
    found: dict[str, TableName] = {}
    calls: list[str] = []
    listing: list[bool] = [False]  # per open parenthesis: inside a FROM list, where a comma starts another table
    expect = False
    for index, token in enumerate(tokens):
        word = token.text.upper()
        before = tokens[index - 1].text.upper() if index else ""
        if token.token_type == TokenType.L_PAREN:
            calls.append(before)
            listing.append(False)
            expect = False
        elif token.token_type == TokenType.R_PAREN:
            if calls:
                calls.pop()
                listing.pop()
            expect = False
        elif word == "FROM" and not (calls and calls[-1] in _FROM_IN_CALL) and before != "DISTINCT":
            expect, listing[-1] = True, True
        elif word == "JOIN":
            expect, listing[-1] = True, True
        elif word == "TABLE" and calls and calls[-1] not in {"LATERAL"}:
            expect = True
        elif token.token_type == TokenType.COMMA and listing[-1]:
            expect = True
        elif word in {"WHERE", "GROUP", "HAVING", "ORDER", "ON", "SELECT", "UNION", "WINDOW", "LIMIT", "QUALIFY"}:
            expect, listing[-1] = False, False
        elif expect:
            expect = False
            if word in _NOT_TABLES or word in {"EACH"}:
                continue
            following = tokens[index + 1].text if index + 1 < len(tokens) else ""
            is_name = token.token_type in _NAMES or (word.isidentifier() and following != "(")
            if is_name and following != "(" and token.text not in own:
                column = token.col - len(token.text) + 1
                found.setdefault(token.text, TableName(token.text, token.line, max(column, 1)))
    return tuple(found.values())


def split(sql: str) -> list[Token]:
    """The tokens of a query; raises HeadraceError when a quote or comment never ends."""
    try:
        return Tokenizer().tokenize(sql)
    except SqlglotError as error:
        raise HeadraceError(f"this is not SQL: {str(error).splitlines()[0]}") from error


def _common_table_expressions(tokens: list[Token]) -> set[str]:
    names = set()
    for index in range(1, len(tokens) - 2):
        starts = tokens[index - 1].text.upper() in {"WITH", "RECURSIVE", ","}
        if starts and tokens[index].token_type in _NAMES and tokens[index + 1].text.upper() == "AS":
            if tokens[index + 2].token_type == TokenType.L_PAREN:
                names.add(tokens[index].text)
    return names
