"""A job's SELECT as a live view, or what of it can't be kept exact: every expression that can't, at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ErrorLevel, SqlglotError

from headrace.sql.batch_query import readable
from headrace.sql.live import sources as tables_of
from headrace.sql.live.aggregates import AGGREGATES, NO_EQUALITY, Aggregates
from headrace.sql.live.refused import Refused, mistake
from headrace.sql.live.scalars import Scalars
from headrace.sql.live.sources import conjuncts
from headrace.sql.live.tree import Dimension, Key, Node, Output, Table, View
from headrace.sql.live.types import NULL
from headrace.sql.mistake import Mistake
from headrace.sql.tokens import NotSql, split

T = TypeVar("T")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
OWN = ("as_of", "provisional")  # columns that every live view has besides
# Clauses that a live view can't have, with the reason.
_CLAUSES = {
    "with_": ("WITH", "changes of a query inside of it can't be signed", "read one table, and join others by key"),
    "distinct": ("DISTINCT", "it forgets how often a row was there", "GROUP BY the columns, with COUNT(*)"),
    "order": ("ORDER", "the rows of a view have no order", "ORDER BY in the query that reads it"),
    "sort": ("SORT", "the rows of a view have no order", "ORDER BY in the query that reads it"),
    "limit": ("LIMIT", "which rows are first changes with every change", "LIMIT in the query that reads it"),
    "offset": ("OFFSET", "which rows are first changes with every change", "OFFSET in the query that reads it"),
    "qualify": ("QUALIFY", "a window over rows is no sum over changes", ""),
    "windows": ("WINDOW", "a window over rows is no sum over changes", ""),
    "pivots": ("PIVOT", "it is not read here", "COUNT_IF and SUM(CASE …) do the same"),
}


class _Strict(Spark):
    """Spark's SQL with CAST and TRY_CAST told apart."""

    class Parser(Spark.Parser):
        STRICT_CAST: ClassVar = True


@dataclass(frozen=True)
class Compiled:
    """The view, or why there is none."""

    view: View | None
    mistakes: tuple[Mistake, ...] = ()


def compile_live(name: str, sql: str, tables: Mapping[str, Table]) -> Compiled:
    """The live view that a query means. `tables` are those of the project's sources, by name. Never raises.

    Guarantee: of a view that is given, Spark, Flink and PostgreSQL compute the same from the same changes. A query that
    is no SQL, or names columns that are not there, is refused without a word where headrace.sql.batch_query says why.
    """
    try:
        words = split(sql)
        tree = sqlglot.parse_one(
            readable(sql, words).rstrip().removesuffix(";"), dialect=_Strict, error_level=ErrorLevel.RAISE
        )
    except (NotSql, SqlglotError, RecursionError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        return Compiled(None)
    for one, other in pairwise(words):
        if one.kind == other.kind == "text":
            hint = "a quote inside of a text is \\'"
            return Compiled(None, (Mistake("two texts side by side", other.line, other.column, hint),))
    reader = _Reader(name, {n.lower(): t for n, t in tables.items()})
    view = None
    try:
        view = reader.view(tree)
    except Refused as refused:
        reader.wrong.append(refused)
    mistakes = dict.fromkeys(mistake(w, words) for w in reader.wrong if w.reason)
    return Compiled(None if reader.wrong else view, tuple(sorted(mistakes, key=lambda m: (m.line, m.column))))


class _Reader:
    """Reads one SELECT, clause by clause; what is refused is collected in `wrong`."""

    def __init__(self, name: str, tables: Mapping[str, Table]) -> None:
        self.name, self.tables = name, tables
        self.wrong: list[Refused] = []
        self.keys: dict[exp.Expr, Key] = {}
        self.groups: dict[exp.Expr, Node] = {}
        self.used: dict[str, set[str]] = {}

    def view(self, tree: exp.Expr) -> View:
        select = self._select(tree)
        self.sources = tables_of.read(select, self.tables)
        self.rows = Scalars(self._row_leaf)
        self.shown = Scalars(self._read_leaf, reading=True)
        self.results = Scalars(self._result_leaf, reading=True)
        for joined in self.sources.joined:
            for other in joined.on.values():
                if self.sources.driving_only(other):
                    self._try(lambda o=other: self._key(o))
        grouped = self._group(select)
        self.aggregates = Aggregates(self.rows, self.sources.table, grouped)
        filters, conditions = self._where(select)
        outputs = [o for e in select.expressions if (o := self._try(lambda e=e: self._output(e)))]
        self._names(select, outputs)
        having = select.args.get("having")
        kept = self._try(lambda: self.results.condition(having.this)) if having else None
        dimensions = self._dimensions()
        distinct = self._distinct()
        if not outputs and not self.wrong:
            raise Refused(select, "it selects nothing")
        return View(
            self.name,
            self.sources.table,
            _all(filters),
            tuple(self.keys.values()),
            tuple(self.aggregates.measures),
            dimensions,
            _all(conditions),
            tuple(self.groups.values()),
            grouped,
            tuple(outputs),
            kept,
            distinct,
        )

    def _select(self, tree: exp.Expr) -> exp.Select:
        while isinstance(tree, exp.Subquery) and not any(tree.args.get(a) for a in _CLAUSES):
            tree = tree.this
        if not isinstance(tree, exp.Select):
            word = tree.key.upper()
            raise Refused(
                tree, "a live view is one SELECT over one table", "leave `live` out, or write two views", word
            )
        wrong = [Refused(tree, reason, hint, word) for c, (word, reason, hint) in _CLAUSES.items() if tree.args.get(c)]
        if wrong:
            self.wrong += wrong[1:]
            raise wrong[0]
        return tree

    def _try(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Refused as refused:
            self.wrong.append(refused)
            return None

    def _row_leaf(self, node: exp.Expr) -> Node | None:
        """A column of the driving table, where both engines compute."""
        if isinstance(node, AGGREGATES):
            raise Refused(node, "an aggregate inside of another, or of WHERE", "HAVING decides by aggregates")
        if not isinstance(node, exp.Column):
            return None
        alias, table, name, type_ = self.sources.find(node)
        if alias != self.sources.alias:
            hint = f"GROUP BY {node.sql('spark')}, or have the column in {self.sources.table.name}"
            raise Refused(
                node, f"a row of {table.name!r} can change without a change of {self.sources.table.name!r}", hint
            )
        return Node("column", type_, value=name)

    def _read_leaf(self, node: exp.Expr) -> Node | None:
        """A key of the partials or a column of a joined table, where PostgreSQL computes."""
        if isinstance(node, AGGREGATES):
            raise Refused(node, "an aggregate in GROUP BY or WHERE", "HAVING decides by aggregates")
        canonical = self.sources.canonical(node)
        if canonical in self.keys:
            key = self.keys[canonical]
            return Node("key", key.node.type, value=key.name)
        if not isinstance(node, exp.Column):
            return None
        alias, _, name, type_ = self.sources.find(node)
        if alias == self.sources.alias:
            hint = f"GROUP BY {node.sql('spark')} besides, or compare it apart"
            raise Refused(node, "together with a joined table only what is grouped by, or joins, can be used", hint)
        self.used.setdefault(alias, set()).add(name)
        return Node("joined", type_, value=(alias, name))

    def _result_leaf(self, node: exp.Expr) -> Node | None:
        """A group or an aggregate, of which results and HAVING are made."""
        if isinstance(node, exp.Window):
            raise Refused(node, "a window over rows is no sum over changes")
        if isinstance(node, exp.Query | exp.Exists):
            raise Refused(node, "rows of a query change without a change of the row", "list the values, or join by key")
        if isinstance(node, AGGREGATES):
            return self.aggregates.read(node)
        canonical = self.sources.canonical(node)
        if canonical in self.groups:
            if self.groups[canonical].op == "wrong":
                raise Refused(node, "")
            index = list(self.groups).index(canonical)
            return Node("group", self.groups[canonical].type, value=f"g{index + 1}")
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            raise Refused(node, "a row for each row is no sum", "name groups and aggregates")
        if isinstance(node, exp.Column):
            hint = "GROUP BY it, or SUM it; a row for each row of the table is what the table itself is"
            raise Refused(node, "it is neither grouped by nor inside of an aggregate", hint)
        return None

    def _group(self, select: exp.Select) -> bool:
        clause = select.args.get("group")
        if clause is None:
            return False
        for kind in ("grouping_sets", "rollup", "cube", "all", "totals"):
            if clause.args.get(kind):
                raise Refused(select, "it is not read here", "list the groups", kind.split("_")[0].upper())
        named = {e.alias.lower(): e.this for e in select.expressions if isinstance(e, exp.Alias)}
        for item in clause.expressions:
            if isinstance(item, exp.Rollup | exp.Cube | exp.GroupingSets):
                raise Refused(select, "it is not read here", "list the groups", item.key.upper()[:8])
            self._try(lambda item=item: self._one_group(item, select, named))
        return True

    def _one_group(self, item: exp.Expr, select: exp.Select, named: Mapping[str, exp.Expr]) -> None:
        if isinstance(item, exp.Literal) and not item.is_string and item.this.isdigit():
            if not 0 < int(item.this) <= len(select.expressions):
                raise Refused(item, f"there is no {item.this}. column")
            item = select.expressions[int(item.this) - 1].unalias()
        elif isinstance(item, exp.Column) and not item.table and item.name.lower() in named:
            own = any(t.type_of(item.name) for t in (self.sources.table, *(j.table for j in self.sources.joined)))
            item = item if own else named[item.name.lower()]
        canonical = self.sources.canonical(item)
        self.groups[canonical] = Node("wrong", NULL)
        if self.sources.driving_only(item):
            key = self._key(item)
            node = Node("key", key.node.type, value=key.name)
        else:
            node = self.shown.read(item)
        if node.type.kind in NO_EQUALITY:
            raise Refused(item, f"{node.type} has no equality that all engines agree on")
        self.groups[canonical] = node

    def _key(self, item: exp.Expr) -> Key:
        canonical = self.sources.canonical(item)
        if canonical not in self.keys:
            self.keys[canonical] = Key(f"k{len(self.keys) + 1}", self.rows.read(item))
        return self.keys[canonical]

    def _distinct(self) -> str:
        """The name of the key that COUNT(DISTINCT) counts the values of; '' where there is none."""
        node = self.aggregates.distinct
        if node is None:
            return ""
        keys = {key.node: key for key in self.keys.values()}
        if node not in keys:
            keys[node] = self.keys[exp.Placeholder()] = Key(f"k{len(self.keys) + 1}", node)
        return keys[node].name

    def _where(self, select: exp.Select) -> tuple[list[Node], list[Node]]:
        """What each engine decides by a row, and what is decided by a joined row when the view is read."""
        filters: list[Node] = []
        conditions: list[Node] = []
        clause = select.args.get("where")
        for part in conjuncts(clause.this) if clause else []:
            found = self._try(lambda p=part: self._filter(p))
            if found:
                (filters if found[0] else conditions).append(found[1])
        return filters, conditions

    def _filter(self, part: exp.Expr) -> tuple[bool, Node]:
        rows = self.sources.driving_only(part)
        return rows, (self.rows if rows else self.shown).condition(part)

    def _output(self, item: exp.Expr) -> Output:
        inner = item.unalias()
        node = self.results.read(inner)
        if node.type.kind == "null":
            raise Refused(inner, "NULL alone has no type", "CAST(NULL AS STRING)")
        name = item.output_name
        if not name or (not isinstance(item, exp.Alias) and not isinstance(inner, exp.Column)):
            raise Refused(inner, "this column has no name", f"{inner.sql('spark')} AS a_name")
        if not _NAME.fullmatch(name) or name in OWN:
            taken = (
                f"{name!r} is a column that every live view has"
                if name in OWN
                else f"a column can't be called {name!r}"
            )
            raise Refused(inner, taken, "lower case letters, digits and _, such as … AS revenue")
        return Output(name, node)

    def _names(self, select: exp.Select, outputs: list[Output]) -> None:
        names = [o.name for o in outputs]
        for item in reversed(select.expressions):
            if names.count(item.output_name) > 1:
                names.remove(item.output_name)
                self.wrong.append(
                    Refused(item.unalias(), f"two columns are called {item.output_name!r}", "… AS another")
                )

    def _dimensions(self) -> tuple[Dimension, ...]:
        found = []
        for joined in self.sources.joined:
            on = []
            for name, other in joined.on.items():
                node = self._try(lambda o=other: self.shown.read(o))
                if node is None:
                    continue
                type_ = joined.table.type_of(name)
                assert type_ is not None
                if node.type.kind != type_.kind:
                    reason = f"{type_} and {node.type} are compared in different ways"
                    self.wrong.append(Refused(other, reason, "join columns of one type"))
                on.append((name, node))
            used = self.used.setdefault(joined.alias, set()) | set(joined.table.key)
            found.append((joined, tuple(on), used))
        return tuple(
            Dimension(
                j.alias,
                j.table,
                j.left,
                on,
                tuple(c.name for c in j.table.columns if c.name in self.used[j.alias] | used),
            )
            for j, on, used in found
        )


def _all(conditions: list[Node]) -> Node | None:
    whole = None
    for one in conditions:
        whole = one if whole is None else Node("and", one.type, (whole, one))
    return whole
