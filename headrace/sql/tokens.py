"""SQL as tokens with places. sqlglot has no Flink grammar, but its tokenizer reads Flink's SQL as well as Spark's."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Tokenizer, TokenType

from headrace.errors import HeadraceError


class Flink(Dialect):
    """Only the tokenizer of it: backticks quote names, a quote in a text is doubled, a backslash is a letter."""

    class Tokenizer(Tokenizer):
        IDENTIFIERS: ClassVar = ["`", '"']
        QUOTES: ClassVar = ["'"]
        NESTED_COMMENTS = False


@dataclass(frozen=True)
class Word:
    """A token: its text without quotes, in capitals when it may be a keyword; line and column count from 1."""

    text: str
    word: str  # its first word; '' for quoted names and texts: they are never keywords
    line: int
    column: int
    start: int  # offsets in the SQL; end is behind the last character
    end: int
    kind: str  # 'name', 'text', 'number' or 'sign'
    is_plain: bool = False  # a name that is no keyword of the dialect

    @property
    def is_name(self) -> bool:
        return self.kind == "name"


class NotSql(HeadraceError):
    """The text can't be split into tokens; `line` and `column` say where it goes wrong (1 for the first)."""

    def __init__(self, message: str, line: int, column: int, hint: str = "") -> None:
        self.line, self.column = line, column
        super().__init__(message, hint=hint)


def split(sql: str, dialect: str = "spark") -> list[Word]:
    """The tokens of a query in the dialect 'spark' or 'flink', without comments.

    Raises NotSql when a quote or comment never ends.
    """
    starts = [0, *(i + 1 for i, c in enumerate(sql) if c == "\n")]

    def place(offset: int) -> tuple[int, int]:
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    unended = _unended(sql, dialect)
    if unended is not None:
        line, column = place(unended[0])
        raise NotSql(f"{unended[1]} is opened here and never closed", line, column, f"close it with {unended[2]}")
    try:
        tokens = _dialect(dialect).tokenize(sql)
    except (SqlglotError, ValueError, IndexError, RecursionError) as error:  # its tokenizer lets Python errors through
        line, column = place(min(getattr(error, "end", None) or 0, len(sql)))
        raise NotSql("this is not SQL: it can't be split into words", line, column) from error
    words = []
    for token in tokens:
        line, column = place(min(token.start, len(sql)))
        kind = _kind(token.token_type, token.text)
        quoted = kind == "text" or token.token_type == TokenType.IDENTIFIER
        word = "" if quoted else "".join(token.text.upper().split()[:1])  # GROUP BY is one token
        words.append(
            Word(
                token.text,
                word,
                line,
                column,
                token.start,
                token.end + 1,
                kind,
                kind == "name" and token.token_type in _PLAIN,
            )
        )
    return words


def closing(words: list[Word]) -> dict[int, int]:
    """Index of each opening parenthesis → index of the one that closes it; unclosed ones reach to the end."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for index, word in enumerate(words):
        if word.word == "(":
            opened.append(index)
        elif word.word == ")" and opened:
            pairs[opened.pop()] = index
    return pairs | dict.fromkeys(opened, len(words))


_PLAIN = {TokenType.VAR, TokenType.IDENTIFIER}


@cache
def _dialect(name: str) -> Dialect:
    return Dialect.get_or_raise(name)


def _kind(token_type: TokenType, text: str) -> str:
    if token_type == TokenType.IDENTIFIER:
        return "name"
    if token_type == TokenType.NUMBER:
        return "number"
    if "STRING" in token_type.name and token_type not in {TokenType.STRUCT} and not text.isidentifier():
        return "text"
    if token_type == TokenType.STRING:
        return "text"
    return "name" if text.isidentifier() else "sign"


def _unended(sql: str, dialect: str) -> tuple[int, str, str] | None:
    """Offset of a quote or comment that never ends, what it is, and what would close it."""
    spark = dialect == "spark"
    quotes = {"'": "the text", '"': "the text" if spark else "the name", "`": "the name"}
    index = 0
    while index < len(sql):
        two, character = sql[index : index + 2], sql[index]
        if two == "--":
            end = sql.find("\n", index)
        elif two == "/*":
            end = _end_of_comment(sql, index, nested=spark)
            if end < 0:
                return index, "the comment", "*/"
        elif character in quotes:
            raw = not spark or character == "`" or re.search(r"(?<!\w)[rR]$", sql[:index]) is not None
            end = _end_of_quote(sql, index, raw)
            if end < 0:
                return index, quotes[character], character
        else:
            end = index + 1
        if end < 0:
            return None
        index = end
    return None


def _end_of_comment(sql: str, start: int, nested: bool) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, start):
        if match[0] == "*/":
            depth -= 1
            if depth <= 0:
                return match.end()
        elif nested or not depth:
            depth += 1
    return -1


def _end_of_quote(sql: str, start: int, raw: bool) -> int:
    index = start + 1
    while index < len(sql) and sql[index] != sql[start]:
        index += 1 if raw or sql[index] != "\\" else 2
    return index + 1 if index < len(sql) else -1
