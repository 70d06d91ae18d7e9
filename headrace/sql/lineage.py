"""Which columns of a query's result hold values of personal columns: sqlglot's lineage, and where that can't tell, all.

The rule is that a wrong mask is better than a leak. A query that names no personal column, and selects no * over one,
has none in its result. In any other each column of the result is traced through common tables, subqueries, unions and
functions. How many rows have a value (COUNT) is no value. What stands in WHERE or ON chooses rows and is not traced.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headrace.sql.batch_query import readable
from headrace.sql.columns import Columns
from headrace.sql.inputs import references
from headrace.sql.tokens import NotSql, Word, split

Names = frozenset[str]  # of columns that hold personal values, as table.column

_WINDOWS = {"HOP", "TUMBLE", "CUMULATE", "SESSION"}
_CLAUSES = {"ON", "USING", "WHERE", "PIVOT", "UNPIVOT", "MATCH_RECOGNIZE", "TABLESAMPLE", "IN", "SELECT"}
# Flink's TABLE(HOP(TABLE payments_changes, …)) has the columns of its table and those of the window.
_WINDOWED = re.compile(
    r"\bTABLE\s*\(\s*(?:HOP|TUMBLE|CUMULATE|SESSION)\s*\(\s*TABLE\s+(`?\w+`?)", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Origins:
    """Column (in small letters) → the personal columns its values come from; `rest` stands for all other columns."""

    columns: Mapping[str, Names] = field(default_factory=dict)
    rest: Names = frozenset()

    def of(self, column: str) -> Names:
        """The personal columns behind a column; none when its values are nobody's."""
        return self.columns.get(column.lower(), self.rest)

    def among(self, columns: Iterable[str]) -> dict[str, Names]:
        """Those of the columns that hold personal values, with where these come from."""
        return {c: self.of(c) for c in columns if self.of(c)}

    @property
    def all(self) -> Names:
        return self.rest.union(*self.columns.values())


OPEN = Origins()  # nothing personal


@dataclass(frozen=True)
class Read:
    """A table as a query sees it: its columns (None: not known here) and which of them are personal."""

    columns: Columns
    origins: Origins


def mentioned(sql: str, tables: Mapping[str, Read], dialect: str = "spark") -> Names:
    """The personal columns that a query can touch: it names one, takes all columns of a table, or gives them names."""
    try:
        words = split(sql, dialect)
    except NotSql:
        return frozenset().union(*(t.origins.all for t in tables.values()))
    names = {w.text.lower() for w in words if w.is_name}
    whole = any(_is_whole(words, i) for i in range(len(words))) or _renames(words)
    found: set[str] = set()
    for table in tables.values():
        found |= table.origins.all if whole else table.origins.rest
        found |= {o for name, of in table.origins.columns.items() if name in names for o in of}
    return frozenset(found)


def trace(sql: str, tables: Mapping[str, Read], dialect: str = "spark") -> Origins:
    """The personal columns behind each column of a query's result. Never raises: what can't be traced is personal."""
    touched = mentioned(sql, tables, dialect)
    if not touched:
        return OPEN
    try:
        return _Trace(tables, touched).of(sql, dialect)
    except Exception:  # sqlglot has many ways to say that it can't follow; each means the same here
        return Origins(rest=touched)


class _Trace:
    def __init__(self, tables: Mapping[str, Read], touched: Names) -> None:
        self.tables = {name.lower(): table for name, table in tables.items()}
        self.touched = touched

    def of(self, sql: str, dialect: str) -> Origins:
        import sqlglot
        from sqlglot import exp
        from sqlglot.lineage import lineage

        logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it can't follow is no news to the user
        text = _without_windows(sql) if dialect == "flink" else readable(sql, split(sql))
        tree = sqlglot.parse_one(text.rstrip().removesuffix(";"), read="spark").transform(_counted)
        if any(call.name.upper() == "IDENTIFIER" for call in tree.find_all(exp.Anonymous)):
            return Origins(rest=self.touched)  # a name that is computed
        self.aliases = {a.alias.lower() for a in tree.find_all(exp.Alias)}
        self.aliases |= {i.name.lower() for a in tree.find_all(exp.TableAlias) for i in a.args.get("columns") or []}
        self.is_open = any(t.columns is None for t in self.tables.values())
        shape = {n: dict.fromkeys(t.columns, "string") for n, t in self.tables.items() if t.columns is not None}
        found: dict[str, Names] = {}
        rest: Names = frozenset()
        for name, root in lineage(None, tree, shape, dialect="spark").items():
            origins = frozenset().union(*(self._node(n) for n in root.walk()))
            if name == "*":  # of a table whose columns are not known here: they keep their names
                for table in self.tables.values():
                    found |= {c: found.get(c, frozenset()) | o for c, o in table.origins.columns.items()}
                    rest |= table.origins.rest
            elif origins:
                found[name.lower()] = found.get(name.lower(), frozenset()) | origins
        return Origins(found, rest)

    def _node(self, node) -> Names:  # type: ignore[no-untyped-def]
        """What one step of a lineage adds: the columns of tables where it ends, and what is no end but hides them."""
        from sqlglot import exp

        if node.downstream or not isinstance(node.expression, exp.Table | exp.Placeholder):
            inside = () if isinstance(node.expression, exp.Star) else node.expression.find_all(exp.Star)
            packed = any(not isinstance(star.parent, exp.Count) for star in inside)  # to_json(struct(*))
            lost = not node.downstream and isinstance(node.expression, exp.Query | exp.Star)
            return self.touched if packed or lost else frozenset()
        column = node.name.rpartition(".")[2].strip('"').lower()
        if isinstance(node.expression, exp.Table):
            table = self.tables.get(node.expression.name.lower())
            if table is not None and column == "*":
                return table.origins.all
            if table is not None and (table.columns is None or column in {c.lower() for c in table.columns}):
                return table.origins.of(column)
        return self._unresolved(column)

    def _unresolved(self, column: str) -> Names:
        """A column of which sqlglot can't say whose it is. Tables with unknown columns keep names, aliases don't."""
        named = frozenset().union(*(t.origins.of(column) for t in self.tables.values()))
        if named or (self.is_open and column not in self.aliases):
            return named
        return self.touched


def _counted(node):  # type: ignore[no-untyped-def]
    """COUNT of anything as COUNT(*), also with FILTER: a number of rows shows no value."""
    from sqlglot import exp

    inner = node.this if isinstance(node, exp.Filter) else node
    return exp.Count(this=exp.Star()) if isinstance(inner, exp.Count | exp.CountIf | exp.ApproxDistinct) else node


def _is_whole(words: list[Word], index: int) -> bool:
    """Whether a word may give columns that are not named: *, unless it is COUNT(*) or surely a product, a table without
    SELECT, or a name that is computed."""
    word, before = words[index].word, words[index - 1] if index else None
    after = words[index + 1] if index + 1 < len(words) else None
    outer = words[index - 2].word if index > 1 else ""
    starts = before is None or (before.word == "(" and outer not in _WINDOWS)
    if word == "*":
        if before and before.word == "(" and outer == "COUNT":
            return False
        ends = before is not None and (
            before.word in {")", "]"} or before.kind in {"text", "number"} or before.is_plain
        )
        begins = after is not None and (after.is_plain or after.word == "(" or after.kind in {"text", "number"})
        return not (ends and begins)
    if word in {"TABLE", "IDENTIFIER"}:
        return starts and bool(after and after.word != "(") if word == "TABLE" else bool(after and after.word == "(")
    return word == "FROM" and starts


def _renames(words: list[Word]) -> bool:
    """Whether a table gets other names for its columns: FROM guests AS g(a, b)."""
    for _, _, end in references(words):
        at = end + (end < len(words) and words[end].word == "AS")
        if at + 1 < len(words) and words[at].is_name and words[at + 1].word == "(" and words[at].word not in _CLAUSES:
            return True
    return False


def _without_windows(sql: str) -> str:
    """Flink's query with a subquery in the place of each window function: sqlglot can't read those."""
    while match := _WINDOWED.search(sql):
        depth, end = 0, match.start()
        for end in range(match.start(), len(sql)):
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            if not depth and sql[end] == ")":
                break
        window = "0 AS window_start, 0 AS window_end, 0 AS window_time"
        sql = f"{sql[: match.start()]}(SELECT *, {window} FROM {match[1]}){sql[end + 1 :]}"
    return sql
