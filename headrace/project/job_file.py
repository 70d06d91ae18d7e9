"""Reads `jobs/batch/*` and `jobs/stream/*`: folder, file name and FROM say most of it, the header the rest."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from headrace.errors import HeadraceError, Place, Problem
from headrace.project.header import read_header
from headrace.project.job import Input, Job
from headrace.project.names import table_problem
from headrace.project.python_job import read_python
from headrace.project.text import read_text
from headrace.sql.inputs import tables_read
from headrace.sql.tokens import NotSql, Word, split

DIALECT = {"batch": "spark", "stream": "flink"}


def read_job(path: Path, kind: str) -> Job:
    """Reads one job; raises HeadraceError with every mistake that shows without an engine."""
    text = read_text(path)
    problems = table_problem(path.stem, Place(path), "view")
    if not text.strip():
        example = "SELECT … FROM a table of the project" if path.suffix == ".sql" else "a function with its decorator"
        raise HeadraceError(*problems, Problem("the file is empty", Place(path), example))
    header = read_header(path, text, kind, problems)
    function, inputs = "", ()
    try:
        if path.suffix == ".py":
            function, inputs = read_python(path, text, kind)
        else:
            inputs = _tables(path, text, kind)
    except HeadraceError as error:
        problems += error.problems
    if kind == "stream" and path.suffix == ".sql" and "key" not in header.options:
        hint = "-- key: account_id      (the columns that make one alert the same alert)"
        problems.append(Problem("an alert view needs a key in its header", Place(path, 1), hint))
    if problems:
        raise HeadraceError(*problems)
    language = path.suffix.removeprefix(".")
    return Job(path.stem, kind, language, path, text, inputs, header.options, header.description, function)


def _tables(path: Path, text: str, kind: str) -> tuple[Input, ...]:
    try:
        found = tables_read(text, DIALECT[kind])
    except NotSql as error:
        wrong = error.problems[0]
        raise HeadraceError(wrong.message, place=Place(path, error.line, error.column), hint=wrong.hint) from None
    if not found:
        raise HeadraceError(_no_table(path, split(text, DIALECT[kind])))
    # Spark does not tell Orders from orders, Flink does; the project's names are in small letters.
    names = {(t.name.lower() if kind == "batch" else t.name): t for t in reversed(found)}
    return tuple(Input(name, Place(path, t.line, t.column)) for name, t in reversed(names.items()))


def _no_table(path: Path, words: list[Word]) -> Problem:
    hint = "SELECT … FROM a table of the project"
    if not words:
        return Problem("there is no query in this file", Place(path), hint)
    for word in words:
        if word.is_plain and get_close_matches(word.word, ["FROM"], cutoff=0.75):
            return Problem("the query reads no table", Place(path, word.line, word.column), "did you mean FROM?")
    return Problem("the query reads no table", Place(path, words[0].line, words[0].column), hint)
