"""A batch query without an engine: whether it is one SELECT that Spark can read, and which columns it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError

from headrace.sql.columns import Columns, Examined, examine
from headrace.sql.mistake import Mistake
from headrace.sql.statement import statement_mistake
from headrace.sql.tokens import NotSql, Word, split

_JAVA = {"JAVA_METHOD", "REFLECT", "TRY_REFLECT"}


def examine_batch(sql: str, tables: Mapping[str, Columns]) -> Examined:
    """The query's columns and its mistakes. `tables` maps what it may read to columns (None: not known here).

    Never raises, and is silent where sqlglot can't follow: only what is surely wrong is called a mistake.
    """
    try:
        words = split(sql)
    except NotSql as error:
        return Examined(None, (Mistake(error.problems[0].message, error.line, error.column, error.problems[0].hint),))
    form = statement_mistake(words, {"SELECT", "WITH", "FROM", "VALUES", "TABLE", "("})
    if form:
        return Examined(None, (form,))
    for word, after in pairwise(words):
        if word.kind == "name" and word.text.upper() in _JAVA and after.text == "(":
            said = f"{word.text.lower()}() calls Java inside Spark, which a query may not"
            return Examined(None, (Mistake(said, word.line, word.column, "what SQL can't say, a Python job can"),))
    if any(w.word == "," and after.word == "FROM" for w, after in pairwise(words)):
        return Examined(None)  # a column called from, which sqlglot takes for the clause
    try:
        tree = sqlglot.parse_one(readable(sql, words), read="spark", error_level=ErrorLevel.RAISE)
    except ParseError as error:
        return Examined(None, (_syntax(error, words),))
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        return Examined(None)
    if not isinstance(tree, exp.Query):
        return Examined(None)
    try:
        return examine(tree, tables, {w.start: (w.line, w.column) for w in words})
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        return Examined(None)  # a form of query that the finder doesn't know: not the user's mistake


def readable(sql: str, words: list[Word]) -> str:
    """The query with window(…) under another name of its length: sqlglot takes the word for the clause."""
    for index, word in enumerate(words[:-1]):
        if word.word == "WINDOW" and words[index + 1].word == "(":
            sql = f"{sql[: word.start]}tumble{sql[word.end :]}"
    return sql


def _syntax(error: ParseError, words: list[Word]) -> Mistake:
    details: dict[str, Any] = error.errors[0] if error.errors else {}
    said = str(details.get("description") or "").rstrip(".")
    said = "Something is missing" if "<class" in said else said
    said = "" if said.startswith("Invalid expression") else f" ({said[0].lower()}{said[1:]})" if said else ""
    line, end = int(details.get("line") or 1), int(details.get("col") or 1)
    # sqlglot gives the end of a token; it counts a tab and a wide letter as one, as we do
    at = next((w for w in words if w.line == line and w.column <= end < w.column + max(w.end - w.start, 1) + 1), None)
    highlight = details.get("highlight") or (at.text if at else "")
    near = f" near {re.sub(chr(10), ' ', str(highlight))!r}" if highlight else ""
    message = f"Spark can't read this query{near}{said}"
    return Mistake(
        message, at.line if at else line, at.column if at else end, "a comma, a keyword or a parenthesis before it?"
    )
