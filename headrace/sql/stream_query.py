"""A stream query without an engine. sqlglot has no Flink grammar, so this looks at tokens and says only what is sure:
one statement, parentheses in pairs, `alias.column` where the alias is a table's, and near misses of a column's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from headrace.errors import did_you_mean
from headrace.sql.columns import Columns
from headrace.sql.inputs import common_tables, references
from headrace.sql.mistake import Mistake
from headrace.sql.statement import statement_mistake
from headrace.sql.tokens import NotSql, Word, closing, split

# Words that follow a table's name and are not its alias.
_AFTER_TABLE = set(
    (
        "WHERE JOIN LEFT RIGHT INNER FULL OUTER CROSS NATURAL ON USING GROUP ORDER HAVING LIMIT OFFSET FETCH FOR "
        "WINDOW UNION INTERSECT EXCEPT MINUS LATERAL TABLESAMPLE MATCH_RECOGNIZE PIVOT UNPIVOT QUALIFY TABLE SEMI "
        "ANTI"
    ).split()
)
# Names that Flink gives to columns of window functions and to units of time.
_WORDS = set(
    (
        "window_start window_end window_time rowtime proctime descriptor seconds minutes hours days weeks months "
        "years second minute hour day week month quarter year measures pattern define after match past last first "
        "next prev row per within subset size slide gap data timecol offset model"
    ).split()
)


def examine_stream(sql: str, tables: Mapping[str, Columns]) -> tuple[Mistake, ...]:
    """The mistakes that are certain. `tables` maps what it may read to columns (None: not known here). Never raises."""
    try:
        words = split(sql, "flink")
    except NotSql as error:
        return (Mistake(error.problems[0].message, error.line, error.column, error.problems[0].hint),)
    form = statement_mistake(words, {"SELECT", "WITH", "VALUES", "("})
    if form:
        return (form,)
    named = references(words)
    return (*_qualified(words, named, tables), *_near_misses(words, named, tables))


def absent(sql: str, columns: Iterable[str]) -> list[str]:
    """Those of the columns that the query can't give: nowhere named in it, and it selects no *."""
    try:
        words = split(sql, "flink")
    except NotSql:
        return []
    stars = any(
        w.word == "*" and i and words[i - 1].word in {"SELECT", ".", ",", "DISTINCT"} for i, w in enumerate(words)
    )
    given = {w.text for w in words if w.is_name}
    return [] if stars else [c for c in columns if c not in given]


def names(sql: str) -> list[str]:
    """The names in a query, without Flink's keywords."""
    try:
        return list(dict.fromkeys(w.text for w in split(sql, "flink") if w.is_plain))
    except NotSql:
        return []


def _qualified(words: list[Word], named: list[tuple[str, int, int]], tables: Mapping[str, Columns]) -> list[Mistake]:
    aliases: dict[str, set[str]] = {}
    for name, _, end in named:
        at = end + 1 if end < len(words) and words[end].word == "AS" else end
        has = at < len(words) and words[at].is_name and words[at].word not in _AFTER_TABLE
        aliases.setdefault(words[at].text if has else name, set()).add(name)
    own = {words[i].text for i in range(1, len(words)) if words[i - 1].word == ")" and words[i].is_name}
    own |= {words[i].text for i in range(2, len(words)) if words[i - 2].word == ")" and words[i - 1].word == "AS"}
    own |= {words[i].text for i in range(len(words) - 1) if words[i].is_name and words[i + 1].word == "AS"} - set(
        tables
    )
    own |= {c.name for c in common_tables(words)}
    mistakes = []
    for index in range(1, len(words) - 1):
        alias, column = words[index - 1], words[index + 1]
        if words[index].word != "." or not column.is_name or alias.text not in aliases or alias.text in own:
            continue
        if (index > 1 and words[index - 2].word == ".") or _word(words, index + 2) in {".", "("}:
            continue
        of = [tables.get(name) for name in aliases[alias.text]]
        if len(of) == 1 and of[0] is not None and column.text not in of[0]:
            message = f"{alias.text!r} has no column {column.text!r}"
            mistakes.append(Mistake(message, column.line, column.column, did_you_mean(column.text, of[0])))
    return mistakes


def _near_misses(words: list[Word], named: list[tuple[str, int, int]], tables: Mapping[str, Columns]) -> list[Mistake]:
    known: set[str] = set()
    for name, _, _ in named:
        columns = tables.get(name)
        if columns is None:
            return []
        known |= set(columns)
    defined = _defined(words) | {part for name, _, _ in named for part in name.split(".")}
    mistakes = []
    for index, word in enumerate(words):
        free = word.is_plain and _word(words, index - 1) != "." and _word(words, index + 1) not in {".", "("}
        if not free or word.text in known or word.text in defined or word.text.lower() in _WORDS:
            continue
        near = (
            get_close_matches(word.text, known, n=1, cutoff=0.85) if re.fullmatch(r"[a-z][a-z0-9_]+", word.text) else []
        )
        if near:
            message = f"no such column {word.text!r}"
            mistakes.append(Mistake(message, word.line, word.column, f"did you mean {near[0]!r}?"))
    return mistakes


def _defined(words: list[Word]) -> set[str]:
    """Names that the query gives: after AS, before AS, behind a name, a value or a parenthesis, and in AS t(a, b)."""
    names: set[str] = set()
    pairs = closing(words)
    for index, word in enumerate(words):
        before = words[index - 1] if index else None
        if (
            word.is_name
            and before
            and (before.word in {"AS", ")", "]"} or before.is_plain or before.kind in {"text", "number"})
        ):
            names.add(word.text)
            if _word(words, index + 1) == "(":
                names |= {w.text for w in words[index + 2 : pairs[index + 1]] if w.is_name}
        if word.is_name and _word(words, index + 1) == "AS" and before and before.word in {"DEFINE", ",", "WITH"}:
            names.add(word.text)
    for table in common_tables(words):
        names.add(table.name)
    return names


def _word(words: list[Word], index: int) -> str:
    return words[index].word if 0 <= index < len(words) else ""
