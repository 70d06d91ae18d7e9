"""Whether a job's text is exactly one query: from its tokens, the same for Spark's and Flink's dialect."""

from __future__ import annotations

from headrace.sql.mistake import Mistake
from headrace.sql.tokens import Word


def statement_mistake(words: list[Word], begins: set[str]) -> Mistake | None:
    """Whether a job is exactly one query: what it begins with, no second statement, parentheses in pairs."""
    if not words:
        return Mistake("there is no query in this file", 1, 1, "SELECT … FROM a table of the project")
    first = words[0]
    if first.word not in begins:
        hint = "delete everything before SELECT: the file's name is the view's name, Headrace writes its result"
        return Mistake(f"a job is one SELECT, this begins with {first.text!r}", first.line, first.column, hint)
    opened: list[Word] = []
    for index, word in enumerate(words):
        if word.word == "(":
            opened.append(word)
        elif word.word == ")":
            if not opened:
                return Mistake(
                    "this parenthesis closes nothing", word.line, word.column, "delete it, or open one before"
                )
            opened.pop()
        elif word.word == "," and _is_stray(words, index):
            return Mistake("nothing follows this comma", word.line, word.column, "delete it, or add what is missing")
        elif word.word == ";" and index + 1 < len(words):
            following = words[index + 1]
            if following.word != ";":
                hint = "one file is one view: put the second query into a file of its own"
                return Mistake("a second statement begins here", following.line, following.column, hint)
    if opened:
        return Mistake("this parenthesis is never closed", opened[-1].line, opened[-1].column, "close it with )")
    return None


def _is_stray(words: list[Word], index: int) -> bool:
    after = words[index + 1].word if index + 1 < len(words) else ""
    if after == "FROM":  # SELECT a, FROM t; in Spark `from` may also be a column: SELECT a, from FROM t
        following = words[index + 2] if index + 2 < len(words) else None
        return following is not None and (
            following.word == "(" or (following.is_name and following.word not in {"FROM", "AS"})
        )
    return after in {",", ")"} or index + 1 == len(words)
